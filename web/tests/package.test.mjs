// The package in a page: answers equal to the native program's, and nothing that grows.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PATIENCE, launch, open, serve } from "./browser.mjs";
import { nativeAnswers, tinyModel } from "./native.mjs";

const FRAMES = 500;
const HEAP_TOLERANCE = 512 * 1024; // bytes over 500 frames: a kilobyte kept for each frame would show
let server;
let browser;
let page;

before(async () => {
  server = await serve();
  browser = await launch();
  // A page of the same origin with nothing of its own: the list of models.
  page = await open(browser, server.address, { path: "models/index.json" });
});
after(async () => {
  await browser?.close();
  server?.stop();
});

/** Same classes in the same order, probabilities within 1e-3. */
function assertSame(found, expected) {
  assert.deepEqual(found.map((guess) => guess.class), expected.map((guess) => guess.class));
  found.forEach(({ probability }, index) => {
    const off = Math.abs(probability - expected[index].probability);
    assert.ok(off <= 1e-3, `class ${found[index].class}: ${probability}, natively ${expected[index].probability}`);
  });
}

describe("the package in a page", { timeout: 4 * PATIENCE }, () => {
  for (const model of ["mobilenet-v2-dcd-cifar10", "mobilenet-v2-cifar10", "efficientnet-lite0"]) {
    test(`${model} answers as natively`, async () => {
      const found = await page.evaluate(async (model) => {
        const { Classifier } = await import("/pkg/index.js");
        const classifier = await Classifier.load(`/models/${model}.safetensors`, { topK: 5, device: "gpu" });
        const answers = [];
        for (const name of ["cat", "rocket"]) {
          const picture = await createImageBitmap(await (await fetch(`/pictures/${name}.jpg`)).blob());
          answers.push(await classifier.classify(picture));
        }
        classifier.dispose();
        return answers;
      }, model);
      assertSame(found[0], nativeAnswers(`assets/models/${model}.safetensors`, "assets/pictures/cat.jpg"));
      assertSame(found[1], nativeAnswers(`assets/models/${model}.safetensors`, "assets/pictures/rocket.jpg"));
    });
  }

  test(`${FRAMES} frames leave memory and GPU objects as they were`, async () => {
    await page.evaluate(async (base64) => {
      const { Classifier } = await import("/pkg/index.js");
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const classifier = await Classifier.load(bytes, { device: "gpu" });
      const canvas = new OffscreenCanvas(64, 64);
      const pen = canvas.getContext("2d");
      globalThis.frames = async (count) => {
        for (let frame = 0; frame < count; frame++) {
          pen.fillStyle = `hsl(${(37 * frame) % 360} 80% 50%)`;
          pen.fillRect(frame % 48, (7 * frame) % 48, 16, 16);
          await classifier.classify(canvas);
        }
      };
      globalThis.counters = () => classifier.counters();
    }, tinyModel().bytes.toString("base64"));
    const session = await page.context().newCDPSession(page);
    const measure = async () => {
      await session.send("HeapProfiler.collectGarbage");
      await session.send("HeapProfiler.collectGarbage");
      const { usedSize, backingStorageSize } = await session.send("Runtime.getHeapUsage");
      return { bytes: usedSize + (backingStorageSize ?? 0), counters: await page.evaluate(() => globalThis.counters()) };
    };
    await page.evaluate(() => globalThis.frames(50)); // caches and pools fill
    const before = await measure();
    await page.evaluate((count) => globalThis.frames(count), FRAMES);
    const later = await measure();
    assert.ok(Object.keys(before.counters).length > 0);
    assert.deepEqual(later.counters, before.counters);
    const grown = later.bytes - before.bytes;
    assert.ok(grown <= HEAP_TOLERANCE, `${grown} bytes more after ${FRAMES} frames`);
    assert.deepEqual(page.complaints, []);
  });
});

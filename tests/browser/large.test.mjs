// Pictures that are larger than what a device, a canvas or the wasm module's memory holds, and what happens when that breaks down.
// Run by scripts/test-web.sh with node --test.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inPage } from "./page.mjs";

/** Lets a page look at the wasm module: `exported`, and put something in place of what it exports. */
function openLibrary() {
  const instantiate = WebAssembly.instantiateStreaming;
  WebAssembly.instantiateStreaming = async (...values) => {
    const { instance, module } = await instantiate(...values);
    globalThis.exported = { ...instance.exports };
    return { instance: { exports: globalThis.exported }, module };
  };
}

describe("large pictures", { timeout: 600_000 }, () => {
  test("take little of the wasm module's memory, and are answered like small ones", async () => {
    const found = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "cpu" });
      const cat = await bitmap("pictures/cat.jpg");
      const [small] = await classifier.classify(cat);
      const before = exported.memory.buffer.byteLength;
      const large = enlarged(cat, Math.ceil(6000 / Math.min(cat.width, cat.height)));
      const size = [large.width, large.height];
      const [drawn] = await classifier.classify(large);
      const pixels = large.getContext("2d").getImageData(0, 0, ...size);
      const [bytes] = await classifier.classify(pixels);
      return { small, drawn, bytes, size, grown: exported.memory.buffer.byteLength - before };
    }, undefined, { early: openLibrary });
    assert.ok(Math.min(...found.size) >= 6000 && found.grown < 160 << 20, `${found.grown} bytes for ${found.size}`);
    for (const { label, probability } of [found.drawn, found.bytes]) {
      assert.equal(label, found.small.label);
      assert.ok(Math.abs(probability - found.small.probability) < 5e-2, `${probability}, the small one's is ${found.small.probability}`);
    }
  });

  test("that no canvas holds are drawn as far as they are looked at", async () => {
    const found = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "cpu" });
      const svg = async (width, height) => {
        const scene = `<rect width="100%" height="100%" fill="teal"/><circle cx="50%" cy="50%" r="${height / 3}" fill="orange"/>`;
        const text = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${scene}</svg>`;
        const image = Object.assign(new Image(), { src: `data:image/svg+xml,${encodeURIComponent(text)}` });
        await image.decode();
        return classifier.classify(image);
      };
      const black = new OffscreenCanvas(300, 300);
      black.getContext("2d").fillRect(0, 0, 300, 300);
      return { wide: await svg(70_000, 300), huge: await svg(70_000, 70_000), small: await svg(300, 300), black: await classifier.classify(black) };
    });
    for (const large of [found.wide, found.huge]) {
      assert.deepEqual(large.map((guess) => guess.class), found.small.map((guess) => guess.class));
      large.forEach(({ probability }, index) => assert.ok(Math.abs(probability - found.small[index].probability) < 1e-2));
    }
    assert.notDeepEqual(found.small, found.black);
  });

  test("are refused where a canvas does not take its size", async () => {
    const { kind, message } = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "cpu" });
      OffscreenCanvasRenderingContext2D.prototype.fillRect = () => {};
      return kindOf(classifier.classify(await bitmap("pictures/cat.jpg")));
    });
    assert.equal(kind, "bad-input");
    assert.match(message, /no canvas of \d+ × \d+ pixels/);
  });
});

test("a breakdown of the wasm module is no fault of the picture, and dispose gives the device back all the same", { timeout: 600_000 }, async () => {
  const found = await inPage(async () => {
    const request = GPUAdapter.prototype.requestDevice;
    const devices = [];
    GPUAdapter.prototype.requestDevice = async function (...values) {
      devices.push(await request.apply(this, values));
      return devices.at(-1);
    };
    const classifier = await Classifier.load(MODEL, { device: "gpu" });
    const breakDown = () => {
      throw new WebAssembly.RuntimeError("unreachable");
    };
    Object.assign(exported, { engine_classifyPixels: breakDown, engine_classify: breakDown, __wbg_engine_free: breakDown });
    const errors = [await kindOf(classifier.classify(new ImageData(8, 8))), await kindOf(classifier.classify(new OffscreenCanvas(8, 8)))];
    classifier.dispose();
    const { reason } = await devices[0].lost;
    await new Promise((later) => setTimeout(later, 100));
    return { errors, devices: devices.length, reason };
  }, undefined, { early: openLibrary });
  assert.deepEqual(found.errors.map(({ kind }) => kind), ["internal", "internal"]);
  assert.deepEqual([found.devices, found.reason], [1, "destroyed"]);
});

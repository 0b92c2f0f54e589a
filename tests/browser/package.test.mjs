// The package's promises that no demo shows: every kind of picture, overlapping calls, lost devices, the CPU, and errors.
// Run by scripts/test-web.sh with node --test.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ROOT, launch, serve } from "./chromium.mjs";
import { DYNAMIC, MODEL, inPage } from "./page.mjs";

const PROGRAM = process.env.DYNACONV ?? `${ROOT}target/debug/dynaconv`;

function native(picture, model = MODEL) {
  const output = execFileSync(PROGRAM, ["classify", "--device", "cpu", "--json", "--top", "5", "--model", model, picture], { cwd: ROOT });
  return JSON.parse(output).guesses;
}

function assertSame(found, expected, tolerance = 1e-3) {
  assert.deepEqual(found.map((guess) => guess.class), expected.map((guess) => guess.class));
  found.forEach((guess, index) => {
    const off = Math.abs(guess.probability - expected[index].probability);
    assert.ok(off <= tolerance, `${guess.label}: ${guess.probability}, expected ${expected[index].probability}`);
  });
}

describe("the package", { timeout: 600_000 }, () => {
  test("takes every kind of picture", async () => {
    const answers = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const picture = await bitmap("pictures/cat.jpg");
      const { width, height } = picture;
      const canvas = Object.assign(document.createElement("canvas"), { width, height });
      canvas.getContext("2d").drawImage(picture, 0, 0);
      const offscreen = new OffscreenCanvas(width, height);
      offscreen.getContext("2d").drawImage(picture, 0, 0);
      const image = new Image();
      image.src = "/assets/pictures/cat.jpg";
      const kinds = {
        ImageBitmap: picture,
        HTMLCanvasElement: canvas,
        OffscreenCanvas: offscreen,
        ImageData: offscreen.getContext("2d").getImageData(0, 0, width, height),
        VideoFrame: new VideoFrame(canvas, { timestamp: 0 }),
        // Still loading.
        HTMLImageElement: image,
      };
      const answers = {};
      for (const [kind, picture] of Object.entries(kinds)) answers[kind] = await classifier.classify(picture);
      return answers;
    });
    const expected = native("assets/pictures/cat.jpg");
    for (const [kind, answer] of Object.entries(answers)) {
      assert.equal(answer[0].label, expected[0].label, kind);
      assertSame(answer, expected);
    }
  });

  test("takes a video file frame by frame", async () => {
    const { playing, last, bitmap: still, size, empty } = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const picture = await bitmap("pictures/cat.jpg");
      const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
      const pen = canvas.getContext("2d");
      const draw = () => pen.drawImage(picture, 0, 0, 160, 120);
      draw();
      const recorder = new MediaRecorder(canvas.captureStream(20), { mimeType: "video/webm" });
      const parts = [];
      recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve));
      recorder.start();
      for (let frame = 0; frame < 20; frame++) {
        draw();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      recorder.stop();
      await stopped;
      const video = Object.assign(document.createElement("video"), { muted: true });
      const empty = await kindOf(classifier.classify(video));
      video.src = URL.createObjectURL(new File(parts, "cat.webm", { type: "video/webm" }));
      await new Promise((resolve, reject) => {
        video.addEventListener("loadeddata", resolve);
        video.addEventListener("error", () => reject(new Error(video.error.message)));
      });
      const ended = new Promise((resolve) => video.addEventListener("ended", resolve));
      await video.play();
      const playing = await classifier.classify(video);
      await ended;
      const [last, frame] = [await classifier.classify(video), await createImageBitmap(video)];
      return { playing, last, bitmap: await classifier.classify(frame), size: [video.videoWidth, video.videoHeight], empty };
    });
    assert.equal(empty.kind, "bad-input");
    assert.deepEqual(size, [160, 120]);
    assert.equal(playing.length, 5);
    // The frame that the video stands on, once as it is and once as a picture: colours may be turned to RGB in two ways.
    assertSame(last.slice(0, 1), still.slice(0, 1), 2e-2);
  });

  test("turns pictures upright and ignores transparency, as natively", async () => {
    const names = ["decode/orientation-6.jpg", "decode/orientation-3.jpg", "decode/rgba.png", "decode/lossless-alpha.webp"];
    const answers = await inPage(async (names) => {
      const classifier = await Classifier.load(MODEL, { device: "gpu", topK: 3 });
      const answers = [];
      for (const name of names) {
        const image = new Image();
        image.src = `/assets/golden/pictures/${name}`;
        await image.decode();
        answers.push(await classifier.classify(image));
      }
      return answers;
    }, names);
    for (const [index, name] of names.entries()) {
      const expected = native(`assets/golden/pictures/${name}`).slice(0, 3);
      assert.equal(answers[index][0].class, expected[0].class, name);
      assertSame(answers[index], expected, 2e-2);
    }
  });

  test("answers overlapping calls in their order, one submit for each, and makes nothing for them", async () => {
    const found = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const names = ["cat", "rocket", "coffee"];
      const pictures = await Promise.all(names.map((name) => bitmap(`pictures/${name}.jpg`)));
      const single = [];
      for (const picture of pictures) single.push((await classifier.classify(picture))[0].probability);
      let submits = 0;
      const submit = GPUQueue.prototype.submit;
      GPUQueue.prototype.submit = function (...values) {
        submits += 1;
        return submit.apply(this, values);
      };
      const before = await classifier.counters();
      const order = [];
      const calls = Array.from({ length: 12 }, (_, index) => index).map(async (index) => {
        const [best] = await classifier.classify(pictures[index % 3]);
        order.push([index, best.probability]);
      });
      await Promise.all(calls);
      GPUQueue.prototype.submit = submit;
      const after = await classifier.counters();
      return { single, order, submits, before, after, timing: classifier.timing };
    });
    assert.deepEqual(found.order.map(([index]) => index), Array.from({ length: 12 }, (_, index) => index));
    for (const [index, probability] of found.order) assert.equal(probability, found.single[index % 3]);
    assert.equal(found.submits, 12);
    assert.ok(found.before.createBuffer > 0 && found.before.createComputePipeline > 0);
    assert.deepEqual(found.after, found.before);
    const { prepare, network, readback, total } = found.timing;
    assert.ok([prepare, network, readback].every((part) => part >= 0) && total >= prepare + network);
  });

  test("draws video that takes the device along when it is copied", async () => {
    // Looks like a graphics card, whose copies of video are tried.
    const early = () => {
      for (const name of ["vendor", "architecture", "device", "description"]) {
        Object.defineProperty(GPUAdapterInfo.prototype, name, { get: () => "card" });
      }
      Object.defineProperty(GPUAdapterInfo.prototype, "isFallbackAdapter", { get: () => false });
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (...values) {
        return (globalThis.device = await request.apply(this, values));
      };
      globalThis.copies = [];
      const copy = GPUQueue.prototype.copyExternalImageToTexture;
      GPUQueue.prototype.copyExternalImageToTexture = function (from, ...values) {
        copies.push(Object.prototype.toString.call(from.source).slice(8, -1));
        if (copies.at(-1) !== "VideoFrame") return copy.call(this, from, ...values);
        device.destroy();
      };
    };
    const { answers, copies } = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const frame = new VideoFrame(await bitmap("pictures/cat.jpg"), { timestamp: 0 });
      const answers = [await classifier.classify(frame), await classifier.classify(frame)];
      return { answers, copies };
    }, undefined, { early });
    for (const answer of answers) assertSame(answer, native("assets/pictures/cat.jpg"));
    assert.deepEqual(copies, ["VideoFrame", "OffscreenCanvas", "OffscreenCanvas"]);
  });

  test("survives ten lost devices, between calls and under them", async () => {
    const found = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const picture = await bitmap("pictures/cat.jpg");
      const [first] = await classifier.classify(picture);
      const answers = [];
      for (let loss = 0; loss < 10; loss++) {
        const under = loss % 2 ? classifier.classify(picture) : null;
        classifier.loseDevice();
        if (loss % 3 === 0) await new Promise((later) => setTimeout(later, 50));
        const [a, b] = await Promise.all([classifier.classify(picture), classifier.classify(picture)]);
        answers.push(a[0], b[0], ...(under ? [(await under)[0]] : []));
      }
      return { first, answers };
    });
    assert.equal(found.answers.length, 25);
    for (const answer of found.answers) assert.deepEqual(answer, found.first);
  });

  test("says that a device was lost when no other can be had", async () => {
    const found = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const picture = await bitmap("pictures/cat.jpg");
      const request = GPU.prototype.requestAdapter;
      GPU.prototype.requestAdapter = async () => null;
      classifier.loseDevice();
      const lost = await kindOf(classifier.classify(picture));
      GPU.prototype.requestAdapter = request;
      return { lost, again: (await classifier.classify(picture)).length };
    });
    assert.equal(found.lost.kind, "device-lost");
    assert.equal(found.again, 5);
  });

  test("tells of the adapter that takes the place of a lost one", async () => {
    const { before, after, answer } = await inPage(async () => {
      // The first adapter looks like a graphics card.
      const looks = { vendor: "card", architecture: "card", device: "card", description: "card", isFallbackAdapter: false };
      const own = Object.keys(looks).map((name) => [name, Object.getOwnPropertyDescriptor(GPUAdapterInfo.prototype, name)]);
      for (const [name, value] of Object.entries(looks)) Object.defineProperty(GPUAdapterInfo.prototype, name, { get: () => value, configurable: true });
      const restore = () => own.forEach(([name, property]) => Object.defineProperty(GPUAdapterInfo.prototype, name, property));
      const classifier = await Classifier.load(MODEL, { device: "gpu" }).finally(restore);
      const before = classifier.info;
      classifier.loseDevice();
      const answer = await classifier.classify(await bitmap("pictures/cat.jpg"));
      return { before, after: classifier.info, answer };
    });
    assert.deepEqual([before.adapter, before.software, before.notice], ["card", false, null]);
    assert.notEqual(after.adapter, "card");
    assert.ok(after.software && /program that computes on the CPU/.test(after.notice));
    assert.deepEqual([after.model, after.bytes, after.launches], [before.model, before.bytes, before.launches]);
    assertSame(answer, native("assets/pictures/cat.jpg"));
  });

  test("computes the same scores and insight on the CPU", async () => {
    const found = await inPage(async () => {
      const results = {};
      for (const device of ["gpu", "cpu"]) {
        const classifier = await Classifier.load(DYNAMIC, { device });
        const { info } = classifier;
        const input = Float32Array.from({ length: info.input[0] * info.input[1] * info.input[2] }, (_, index) => Math.sin(index * index));
        const scores = [...(await classifier.run(input))];
        const layers = async () => (await classifier.insight()).map((layer) => ({ ...layer, lambda: [...layer.lambda], phi: [...layer.phi] }));
        const guesses = await classifier.classify(await bitmap("pictures/cat.jpg"));
        const insight = await layers();
        // With the device goes what it held of the last picture; the new one makes it again.
        classifier.loseDevice();
        const stale = await kindOf(classifier.insight());
        await classifier.classify(await bitmap("pictures/cat.jpg"));
        results[device] = { scores, guesses, insight, info, stale, again: await layers() };
      }
      return results;
    });
    const { gpu, cpu } = found;
    assert.deepEqual([gpu.info.device, cpu.info.device, cpu.info.adapter], ["gpu", "cpu", "CPU"]);
    assert.ok(gpu.info.software && /program that computes on the CPU/.test(gpu.info.notice));
    assert.deepEqual([gpu.stale.kind, cpu.stale], ["bad-input", "no error"]);
    for (const { insight, again } of [gpu, cpu]) assert.deepEqual([again.length, again], [33, insight]);
    assert.equal(gpu.info.labels.length, 10);
    assert.deepEqual([gpu.info.classes, gpu.info.input, gpu.info.dynamicLayers], [10, [3, 128, 128], 33]);
    assert.equal(gpu.scores.length, 10);
    gpu.scores.forEach((score, index) => assert.ok(Math.abs(score - cpu.scores[index]) <= 1e-3, `${score} ${cpu.scores[index]}`));
    assertSame(gpu.guesses, native("assets/pictures/cat.jpg", DYNAMIC));
    assertSame(cpu.guesses, gpu.guesses);
    for (const [index, layer] of gpu.insight.entries()) {
      const other = cpu.insight[index];
      assert.deepEqual([layer.name, layer.phi.length], [other.name, layer.latent ** 2]);
      assert.equal(layer.lambda.length, layer.outputs);
      layer.lambda.concat(layer.phi).forEach((value, place) => {
        const off = Math.abs(value - other.lambda.concat(other.phi)[place]);
        assert.ok(off <= 2e-3, `${layer.name}: ${off} apart`);
      });
    }
  });

  test("falls back to the CPU where there is no adapter or no WebGPU, and says so", async () => {
    const without = await launch({ gpu: false });
    const script = async () => {
      const classifier = await Classifier.load(MODEL);
      const forced = await kindOf(Classifier.load(MODEL, { device: "gpu" }));
      return { info: classifier.info, guesses: await classifier.classify(await bitmap("pictures/cat.jpg")), forced };
    };
    const noAdapter = await inPage(script, undefined, { from: without });
    await without.close();
    const noWebGpu = await inPage(script, undefined, { early: () => delete Navigator.prototype.gpu });
    for (const [found, kind] of [[noAdapter, "no-adapter"], [noWebGpu, "no-webgpu"]]) {
      assert.equal(found.forced.kind, kind);
      assert.equal(found.info.device, "cpu");
      assert.match(found.info.notice, /CPU answers instead/);
      assertSame(found.guesses, native("assets/pictures/cat.jpg"));
    }
  });

  test("on a software adapter takes what was measured to be faster, and says so", async () => {
    const { device, notice } = await inPage(async () => (await Classifier.load(MODEL)).info);
    assert.match(notice, device === "cpu" ? /CPU was measured to be faster/ : /measured to be the faster way/);
  });

  test("refuses what is no model, no picture, no input, and what the GPU has no room for", async () => {
    const found = await inPage(async () => {
      const bytes = new Uint8Array(await (await fetch(MODEL)).arrayBuffer());
      const load = (source, options) => kindOf(Classifier.load(source, { device: "gpu", ...options }));
      const classifier = await Classifier.load(bytes, { device: "gpu" });
      const gone = await Classifier.load(new Blob([bytes]), { device: "cpu" });
      const bitmapClosed = await bitmap("pictures/cat.jpg");
      bitmapClosed.close();
      const broken = Object.assign(new Image(), { src: "data:image/png;base64,AAAA" });
      const limits = Object.getOwnPropertyDescriptor(GPUDevice.prototype, "limits");
      Object.defineProperty(GPUDevice.prototype, "limits", {
        get() {
          const real = limits.get.call(this);
          return new Proxy(real, { get: (_, name) => (name === "maxStorageBufferBindingSize" ? 65536 : real[name]) });
        },
      });
      const small = await load(bytes);
      Object.defineProperty(GPUDevice.prototype, "limits", limits);
      const sent = (buffer) => {
        structuredClone(buffer, { transfer: [buffer] });
        return buffer;
      };
      const sentView = new Uint8Array(bytes);
      sent(sentView.buffer);
      const early = await kindOf(classifier.insight());
      // The third waits for its turn, and its values are gone by then: no reason to give the device up.
      const values = classifier.info.input.reduce((product, length) => product * length);
      const inputs = [0, 1, 2].map(() => new Float32Array(values));
      const runs = inputs.map((input) => kindOf(classifier.run(input)));
      sent(inputs[2].buffer);
      const request = GPUAdapter.prototype.requestDevice;
      let devices = 0;
      GPUAdapter.prototype.requestDevice = function (...options) {
        devices += 1;
        return request.apply(this, options);
      };
      const [one, two, third] = await Promise.all(runs);
      GPUAdapter.prototype.requestDevice = request;
      const found = {
        small, turns: [one, two, third.kind], devices,
        text: await load(new TextEncoder().encode("this is no model file at all")),
        cut: await load(bytes.subarray(0, 100_000)),
        missing: await load("/assets/models/missing.safetensors"),
        address: await load("http://[", {}),
        number: await load(7),
        option: await load(bytes, { topK: 0 }),
        device: await load(bytes, { device: "quantum" }),
        symbol: await load(bytes, { device: Symbol("gpu") }),
        bare: await load(bytes, { precision: Object.create(null) }),
        progress: await load(bytes, { onProgress: 7 }),
        nothing: await kindOf(Classifier.load(new Uint8Array(), null)),
        sent: await load(sent(new Uint8Array(bytes).buffer)),
        sentView: await load(sentView),
        picture: await kindOf(classifier.classify("cat.jpg")),
        closed: await kindOf(classifier.classify(bitmapClosed)),
        broken: await kindOf(classifier.classify(broken)),
        empty: await kindOf(classifier.classify(document.createElement("canvas"))),
        video: await kindOf(classifier.classify(document.createElement("video"))),
        short: await kindOf(classifier.run(new Float32Array(7))),
        array: await kindOf(classifier.run([1, 2, 3])),
        infinite: await kindOf(classifier.run(new Float32Array(values).fill(Infinity, 7, 8))),
        profile: await kindOf(classifier.profile({ repeats: 0.5 })),
        early,
        works: (await classifier.classify(await bitmap("pictures/cat.jpg"))).length,
      };
      gone.dispose();
      gone.dispose();
      found.disposed = await kindOf(gone.classify(document.createElement("canvas")));
      return found;
    }, undefined, { expected: [/404/] });
    const { works, turns, devices, ...errors } = found;
    assert.deepEqual([works, turns, devices], [5, ["no error", "no error", "bad-input"], 0]);
    const kinds = Object.fromEntries(Object.entries(errors).map(([name, error]) => [name, error.kind ?? error]));
    assert.deepEqual(kinds, {
      small: "limits", text: "bad-model", cut: "bad-model", missing: "network", address: "bad-input", number: "bad-input",
      option: "bad-input", device: "bad-input", symbol: "bad-input", bare: "bad-input", progress: "bad-input", nothing: "bad-model", sent: "bad-model", sentView: "bad-model",
      infinite: "bad-input", profile: "bad-input", picture: "bad-input", closed: "bad-input", broken: "bad-input", empty: "bad-input",
      video: "bad-input", short: "bad-input", array: "bad-input", early: "bad-input", disposed: "disposed",
    });
    assert.match(errors.small.message, /needs \d+ bytes in one buffer, the device allows 65536/);
  });

  test("profiles the network on the GPU and the CPU, in the form that the program reads", async () => {
    const found = await inPage(async () => {
      const options = { repeats: 2, warmUp: 0, roof: false };
      const results = {};
      for (const device of ["gpu", "cpu"]) {
        const classifier = await Classifier.load(MODEL, { device });
        const before = await classifier.classify(await bitmap("pictures/cat.jpg"));
        const profile = await classifier.profile(options);
        const after = await classifier.classify(await bitmap("pictures/cat.jpg"));
        const page = await Classifier.profilePage(profile);
        const kinds = [await kindOf(classifier.profile({ repeats: 0 })), await kindOf(Classifier.profilePage({ schema: 1 }))];
        results[device] = { profile, page, kinds, launches: classifier.info.launches, same: before[0].class === after[0].class };
        classifier.dispose();
      }
      return results;
    });
    const folder = mkdtempSync(join(tmpdir(), "dynaconv-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    for (const [device, { profile, page, kinds, launches, same }] of Object.entries(found)) {
      assert.equal(profile.dispatches.length, launches);
      assert.ok(profile.dispatches.every(({ flops, bytes_read, time }) => flops > 0 && bytes_read > 0 && time.n === 2), device);
      assert.ok(profile.runs.plain.median > 0 && page.startsWith("<!doctype html>") && page.includes(profile.network) && same, device);
      assert.deepEqual(kinds.map(({ kind }) => kind), ["bad-input", "bad-input"]);
      const file = join(folder, `${device}.json`);
      writeFileSync(file, JSON.stringify(profile));
      const table = execFileSync(PROGRAM, ["profile", "--read", file, "--by", "dispatch"], { cwd: ROOT, encoding: "utf8" });
      assert.ok(table.includes("features.0.0") && table.includes(device === "gpu" ? "webgpu" : "cpu"), table);
    }
    // A software adapter gets the kernels for software in a page, too.
    assert.ok(found.gpu.profile.device.software && found.gpu.profile.dispatches.some(({ kernel }) => kernel === "conv_pointwise_quad"));
    assert.equal(found.gpu.profile.method.timing, "pass_boundaries");
  });

  test("refuses a picture of another site, and goes on", async () => {
    const other = await serve({ "/assets/": `${ROOT}assets/` });
    const found = await inPage(async (address) => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const image = new Image();
      image.src = `${address}assets/pictures/cat.jpg`;
      await image.decode();
      const tainted = await kindOf(classifier.classify(image));
      return { tainted, works: (await classifier.classify(await bitmap("pictures/cat.jpg"))).length };
    }, other.address);
    other.stop();
    assert.equal(found.tainted.kind, "bad-input");
    assert.match(found.tainted.message, /SecurityError/);
    assert.equal(found.works, 5);
  });
});

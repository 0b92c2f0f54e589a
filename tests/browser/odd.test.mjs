// What pages pass that is odd, and what browsers do that is: none of it costs a device, hangs, or goes unsaid.
// Run by scripts/test-web.sh with node --test.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inPage } from "./page.mjs";

/** Counts the devices that a page is given, in `devices`. */
function countDevices() {
  globalThis.devices = [];
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...values) {
    devices.push(await request.apply(this, values));
    return devices.at(-1);
  };
}

/** Tells of a lost device after the failures that come of it, as browsers may; the last one is `device`. */
function tellLossLate() {
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...values) {
    return (globalThis.device = await request.apply(this, values));
  };
  const lost = Object.getOwnPropertyDescriptor(GPUDevice.prototype, "lost");
  Object.defineProperty(GPUDevice.prototype, "lost", {
    get() {
      return lost.get.call(this).then((info) => new Promise((later) => setTimeout(later, 20, info)));
    },
  });
}

/** Has adapters without subgroups. */
function hideSubgroups() {
  const features = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "features");
  Object.defineProperty(GPUAdapter.prototype, "features", {
    get() {
      const real = features.get.call(this);
      return { has: (name) => name !== "subgroups" && real.has(name) };
    },
  });
}

/** Has `device`, the last one, and `hide`, after which adapters have no subgroups. */
function hideLater() {
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...values) {
    return (globalThis.device = await request.apply(this, values));
  };
  globalThis.hide = () => {
    const features = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, "features");
    Object.defineProperty(GPUAdapter.prototype, "features", {
      get() {
        const real = features.get.call(this);
        return { has: (name) => name !== "subgroups" && real.has(name) };
      },
    });
  };
}

/** Keeps in `asked` what the bind group layouts are that a page asks for, in `textures` how many textures there are. */
function watchObjects() {
  globalThis.asked = [];
  globalThis.textures = 0;
  const [layout, create, destroy] = [GPUDevice.prototype.createBindGroupLayout, GPUDevice.prototype.createTexture, GPUTexture.prototype.destroy];
  GPUDevice.prototype.createBindGroupLayout = function (description) {
    const kinds = ({ binding, visibility, buffer, texture, storageTexture }) => [
      binding, visibility, buffer?.type, buffer?.hasDynamicOffset, texture?.sampleType, storageTexture?.access, storageTexture?.format,
    ];
    asked.push(JSON.stringify([...description.entries].map(kinds)));
    return layout.call(this, description);
  };
  GPUDevice.prototype.createTexture = function (description) {
    textures += 1;
    return create.call(this, description);
  };
  GPUTexture.prototype.destroy = function () {
    textures -= 1;
    return destroy.call(this);
  };
}

/** Refuses devices with subgroups. */
function refuseSubgroups() {
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (description) {
    if ([...description?.requiredFeatures ?? []].includes("subgroups")) throw new TypeError("no subgroups today");
    return request.call(this, description);
  };
}

/** Throws where a device is asked for. */
function throwAtRequests() {
  GPUAdapter.prototype.requestDevice = () => {
    throw new Error("mine");
  };
}

/** Has adapters of an older day. */
function hideInfo() {
  delete GPUAdapter.prototype.info;
}

/** Throws where an adapter is asked for its features. */
function throwAtFeatures() {
  Object.defineProperty(GPUAdapter.prototype, "features", { get() { throw new Error("none, says the page"); } });
}

describe("what is odd", { timeout: 600_000 }, () => {
  test("about adapters that do not say what they are is told, and the CPU answers", async () => {
    for (const [early, told] of [[hideInfo, "its adapter has no info"], [throwAtFeatures, "says the page"]]) {
      const { error, info, best } = await inPage(async () => {
        const error = await kindOf(Classifier.load(MODEL, { device: "gpu" }));
        const { info, best } = await Classifier.load(MODEL).then(async (classifier) => {
          const [best] = await classifier.classify(await bitmap("pictures/cat.jpg"));
          return { info: classifier.info, best };
        });
        return { error, info, best };
      }, undefined, { early });
      assert.equal(error.kind, "no-adapter");
      assert.ok(error.message.includes(told), error.message);
      assert.ok(info.device === "cpu" && info.notice.includes(told), info.notice);
      assert.ok(best.probability > 0);
    }
  });

  test("about weights in textures is that the browser is asked twice for the same, and that they are given back", async () => {
    for (const precision of ["f32", "f16"]) {
      const { asked, loaded, left } = await inPage(async (precision) => {
        const classifier = await Classifier.load(DYNAMIC, { device: "gpu", precision });
        const loaded = textures;
        await classifier.profile({ repeats: 1, warmUp: 0, roof: false });
        return { asked, loaded, left: textures };
      }, precision, { early: watchObjects });
      assert.ok(loaded > 50 && left === loaded, `${loaded} textures, then ${left}`);
      // Once before wgpu, so that all are compiled at once, and once by it.
      const once = [...new Set(asked)].filter((layout) => asked.filter((other) => other === layout).length < 2);
      assert.ok(asked.some((layout) => layout.includes(precision === "f32" ? "unfilterable-float" : "uint")) && asked.some((layout) => layout.includes("write-only")));
      assert.deepEqual(once, []);
    }
  });

  test("about a device that is refused with subgroups is that another is asked for, and what a page throws is told", async () => {
    const refused = await inPage(async () => {
      const request = GPUAdapter.prototype.requestDevice;
      const classifier = await Classifier.load(DYNAMIC, { device: "gpu" });
      const { dispatches } = await classifier.profile({ repeats: 1, warmUp: 0, roof: false });
      return { kernels: dispatches.map(({ kernel }) => kernel), restored: GPUAdapter.prototype.requestDevice === request };
    }, undefined, { early: refuseSubgroups });
    assert.ok(refused.restored && refused.kernels.includes("conv_pointwise_wide"));
    const thrown = await inPage(async () => {
      const request = GPUAdapter.prototype.requestDevice;
      const error = await kindOf(Classifier.load(MODEL, { device: "gpu" }));
      return { error, restored: GPUAdapter.prototype.requestDevice === request };
    }, undefined, { early: throwAtRequests });
    assert.ok(thrown.restored && thrown.error.message.includes("mine"), JSON.stringify(thrown));
  });

  test("about a lost device whose place one without subgroups takes is told as it is", async () => {
    const error = await inPage(async () => {
      const classifier = await Classifier.load(DYNAMIC, { device: "gpu" });
      hide();
      device.destroy();
      return kindOf(classifier.classify(await bitmap("pictures/cat.jpg")));
    }, undefined, { early: hideLater });
    assert.equal(error.kind, "device-lost");
    assert.match(error.message, /no other took its place: .*needs subgroups, which the device lacks/);
  });

  test("about an adapter without subgroups is that it gets other kernels, which compute the same", async () => {
    const compute = (hidden) => inPage(async () => {
      const request = GPUAdapter.prototype.requestDevice;
      const classifier = await Classifier.load(DYNAMIC, { device: "gpu" });
      const restored = GPUAdapter.prototype.requestDevice === request;
      const values = classifier.info.input.reduce((product, length) => product * length);
      const scores = [...await classifier.run(Float32Array.from({ length: values }, (_, index) => (index * 7919 % 201) / 100 - 1))];
      const { dispatches } = await classifier.profile({ repeats: 1, warmUp: 0, roof: false });
      return { restored, scores, kernels: dispatches.map(({ kernel }) => kernel) };
    }, undefined, { early: hidden ? hideSubgroups : undefined });
    const [plain, quads] = [await compute(true), await compute(false)];
    assert.deepEqual([plain, quads].map(({ kernels }) => kernels.some((kernel) => kernel.endsWith("_quad"))), [false, true]);
    assert.ok(plain.kernels.includes("conv_pointwise_wide") && plain.restored && quads.restored);
    const largest = Math.max(...plain.scores.map(Math.abs));
    assert.ok(plain.scores.every((score, index) => Math.abs(score - quads.scores[index]) <= 1e-4 * largest));
    assert.notDeepEqual(plain.scores, quads.scores);
  });

  test("about a picture, values or options is a bad input, and costs no device", async () => {
    const { kinds, devices, works } = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const revoked = () => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      };
      const throwing = (name, kind) => ({ [Symbol.toStringTag]: kind, get [name]() { throw Object.assign(new Error("mine"), { kind: "device" }); } });
      const proxy = () => new Proxy({}, { get() { throw revoked(); } });
      const calls = [
        () => classifier.classify(throwing("width", "ImageBitmap")),
        () => classifier.classify(throwing("data", "ImageData")),
        () => classifier.classify(throwing("complete", "HTMLImageElement")),
        () => classifier.classify({ [Symbol.toStringTag]: "HTMLImageElement" }),
        () => classifier.classify({ [Symbol.toStringTag]: "ImageBitmap", width: 4, height: 4 }),
        () => classifier.classify({ [Symbol.toStringTag]: "ImageData", width: 4, height: 4, data: new Uint8ClampedArray(3) }),
        () => classifier.classify(revoked()),
        () => classifier.classify(proxy()),
        () => classifier.run(revoked()),
        () => classifier.run(proxy()),
        () => classifier.profile(proxy()),
        () => Classifier.load(revoked()),
        () => Classifier.load(proxy()),
        () => Classifier.load(MODEL, proxy()),
      ];
      const kinds = [];
      // A call that throws before there is a promise ends the test.
      for (const call of calls) kinds.push((await kindOf(call())).kind);
      return { kinds, devices: devices.length, works: (await classifier.classify(await bitmap("pictures/cat.jpg"))).length };
    }, undefined, { early: countDevices });
    assert.deepEqual([...new Set(kinds)], ["bad-input"], kinds.join());
    assert.deepEqual([devices, works], [1, 5]);
  });

  test("values of another window are taken, and what is known stays as it is", async () => {
    const found = await inPage(async () => {
      const other = document.body.appendChild(document.createElement("iframe")).contentWindow;
      const bytes = await (await fetch(MODEL)).arrayBuffer();
      const classifier = await Classifier.load(new other.Uint8Array(bytes), { device: "cpu" });
      const values = classifier.info.input.reduce((product, length) => product * length);
      const scores = await classifier.run(new other.Float32Array(values));
      const [before] = await classifier.classify(await bitmap("pictures/cat.jpg"));
      const frozen = [];
      for (const change of [() => classifier.info.labels.sort().reverse(), () => classifier.info.input.fill(1)]) {
        try {
          change();
        } catch (error) {
          frozen.push(error.name);
        }
      }
      const [after] = await classifier.classify(await bitmap("pictures/cat.jpg"));
      return { scores: scores.length, before, after, frozen };
    });
    assert.equal(found.scores, 10);
    assert.deepEqual(found.after, found.before);
    assert.deepEqual(found.frozen, ["TypeError", "TypeError"]);
  });

  test("an image that never loads does not hold dispose back, and one that is given another address is waited for again", async () => {
    const found = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const never = () => Object.assign(new Image(), { src: "/never.png" });
      const image = never();
      const changed = classifier.classify(image);
      image.src = "/assets/pictures/cat.jpg";
      const [best] = await changed;
      const [expected] = await classifier.classify(await bitmap("pictures/cat.jpg"));
      const waiting = kindOf(classifier.classify(never()));
      classifier.dispose();
      const { kind } = await waiting;
      const { reason } = await devices[0].lost;
      return { best, expected, kind, reason };
    }, undefined, { early: countDevices, silent: /never/ });
    assert.equal(found.best.class, found.expected.class);
    assert.deepEqual([found.kind, found.reason], ["disposed", "destroyed"]);
  });

  test("a queue that never says that its work is done holds no answer back", async () => {
    const answers = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      GPUQueue.prototype.onSubmittedWorkDone = () => new Promise(() => {});
      return classifier.classify(await bitmap("pictures/cat.jpg"));
    });
    assert.equal(answers.length, 5);
  });

  test("a device lost under a profile is replaced", async () => {
    const found = await inPage(async () => {
      const classifier = await Classifier.load(MODEL, { device: "gpu" });
      const first = device;
      const profile = classifier.profile({ repeats: 30, warmUp: 0, roof: false });
      // Once it maps what it measured.
      const map = GPUBuffer.prototype.mapAsync;
      await new Promise((mapped) => {
        GPUBuffer.prototype.mapAsync = function (...values) {
          GPUBuffer.prototype.mapAsync = map;
          setTimeout(mapped);
          return map.apply(this, values);
        };
      });
      classifier.loseDevice();
      return { runs: (await profile).runs.plain.n, replaced: device !== first };
    }, undefined, { early: tellLossLate });
    assert.deepEqual(found, { runs: 30, replaced: true });
  });

  test("an adapter that gives no device, and a device that fails as it is measured, leave the CPU", async () => {
    const load = async () => {
      const { info } = await Classifier.load(MODEL);
      return { ...info, works: (await (await Classifier.load(MODEL)).classify(await bitmap("pictures/cat.jpg"))).length };
    };
    const noDevice = await inPage(load, undefined, {
      early: () => { GPUAdapter.prototype.requestDevice = async () => { throw new DOMException("out of memory", "OperationError"); }; },
    });
    const noProbe = await inPage(load, undefined, {
      early: () => { GPUBuffer.prototype.mapAsync = async () => { throw new DOMException("no mapping", "OperationError"); }; },
    });
    for (const { device, works, notice } of [noDevice, noProbe]) {
      assert.deepEqual([device, works], ["cpu", 5]);
      assert.match(notice, /The CPU answers instead\.$/);
      assert.doesNotMatch(notice, /JsValue|\n/);
    }
    assert.match(noDevice.notice, /gave no device: OperationError: out of memory\./);
    assert.match(noProbe.notice, /failed when its speed was measured/);
  });
});

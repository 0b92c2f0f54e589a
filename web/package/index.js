import { FAILED, LOST, choose, factsOf, valuesOf } from "./choose.js";
import initialise, { profilePage } from "./dynaconv.js";
import { withModel } from "./download.js";
import { DynaconvError, look, typed } from "./error.js";
import { Gpu } from "./gpu.js";
import { Lane } from "./lane.js";
import { Board, bytesOf, canDraw, cut, isLoading, shrunk, sizeOf, typeOf } from "./picture.js";

export { DynaconvError };

let library;

/** The wasm module, compiled once for all classifiers of a page. */
async function ready() {
  library ??= initialise({ module_or_path: new URL("dynaconv_bg.wasm", import.meta.url) });
  try {
    await library;
  } catch (error) {
    library = undefined;
    throw new DynaconvError("network", `dynaconv_bg.wasm cannot be had: ${error.message}`, { cause: error });
  }
}

// What some browsers can draw on a canvas but not copy to a GPU.
const DRAWABLE = new Set(["HTMLImageElement", "HTMLVideoElement", "VideoFrame"]);
// Chromium without a graphics card refuses to copy these, or loses the device over it.
const VIDEO = ["HTMLVideoElement", "VideoFrame"];

export class Classifier {
  #engine;
  #gpu;
  #info;
  #timing = null;
  // As many runs may be under way as the engine has readback buffers, and one reading of the insight.
  #runs = new Lane(2);
  #insights = new Lane(1);
  #profiles = new Lane(1);
  #calls = new Set();
  // What ends the waiting for images that are loading.
  #leaving = new Set();
  #recovery = null;
  #disposed = false;
  // Whether the device holds what a picture made of the dynamic layers.
  #seen = false;

  // What is drawn before it is copied, and where.
  #drawn;
  #board = null;

  constructor(engine, gpu, info) {
    [this.#engine, this.#gpu, this.#info] = [engine, gpu, info];
    this.#drawn = new Set(drawnOn(gpu));
  }

  static async load(source, options) {
    const begin = performance.now();
    const usual = { onProgress: undefined, topK: 5, device: "auto", precision: "f32", cache: true };
    const { onProgress, topK, device, precision, cache } = wishes(options, usual);
    const refused = (name, value, expected) => new DynaconvError("bad-input", `${name} is ${said(value)}, expected ${expected}`);
    if (!Number.isInteger(topK) || topK < 1) throw refused("topK", topK, "a whole number above 0");
    if (!["auto", "gpu", "cpu"].includes(device)) throw refused("device", device, "auto, gpu or cpu");
    if (!["f32", "f16"].includes(precision)) throw refused("precision", precision, "f32 or f16");
    if (onProgress != null && typeof onProgress !== "function") throw refused("onProgress", onProgress, "a function");
    await ready();
    const prepare = async (bytes) => {
      // The library counts in 32 bits; a network has fewer classes.
      const chosen = await choose(bytes, { topK: Math.min(topK, 0xffff_ffff), half: precision === "f16" }, device);
      const loadMilliseconds = performance.now() - begin;
      const info = Object.freeze({ ...chosen.info, loadMilliseconds, bytes: bytes.length });
      return new Classifier(chosen.engine, chosen.gpu, info);
    };
    if (typeof source === "string" || look(() => source instanceof URL)) {
      return withModel(look(() => absolute(source)), { onProgress, cache }, prepare);
    }
    return prepare(await bytesFrom(source));
  }

  get info() {
    return this.#info;
  }

  get timing() {
    return this.#timing;
  }

  async classify(picture) {
    // It keeps none of those back that are there. It may be given another address meanwhile.
    while (!this.#disposed && look(() => isLoading(picture))) await this.#decoded(picture);
    return this.#classify(picture);
  }

  /** Waits for an image, no longer than there is a classifier. */
  async #decoded(image) {
    let leave;
    const disposed = new Promise((resolve) => (leave = resolve));
    this.#leaving.add(leave);
    // One that has another address by now refuses at once, and is looked at again a little later.
    const decoded = look(() => image.decode()).catch(() => new Promise((later) => setTimeout(later)));
    await Promise.race([decoded, disposed]);
    this.#leaving.delete(leave);
  }

  #classify(picture) {
    return this.#call(this.#runs, async () => {
      const begin = performance.now();
      let size = look(() => sizeOf(picture));
      let copy;
      if (!this.#engine.fits(...size)) {
        size = smaller(size, (size) => this.#engine.fits(...size));
        // For the CPU most pictures are drawn, and made smaller on the way.
        if (this.#gpu || typeOf(picture) === "ImageData") copy = await shrunk(picture, size).catch((error) => {
          throw typed(error, "bad-input");
        });
      }
      let answer;
      try {
        answer = this.#start(copy ?? picture, size);
      } finally {
        copy?.close();
      }
      // The CPU resizes and computes in one go.
      const started = this.#gpu ? performance.now() : begin;
      let done;
      this.#gpu?.handle.queue.onSubmittedWorkDone().then(() => (done ??= performance.now()), () => {});
      const pairs = await answer;
      const end = performance.now();
      done ??= end;
      this.#timing = { prepare: started - begin, network: done - started, readback: end - done, total: end - begin };
      this.#seen = true;
      return Array.from({ length: pairs.length / 2 }, (_, index) => {
        const [number, probability] = pairs.subarray(2 * index);
        return { class: number, label: this.#info.labels[number] ?? `class ${number}`, probability };
      });
    });
  }

  #start(picture, size) {
    const [bytes, type] = look(() => [bytesOf(picture), typeOf(picture)]);
    const windowAt = (size) => Array.from(this.#engine.window(...size));
    try {
      if (bytes) return this.#engine.classifyPixels(cut(bytes, size[0], windowAt(size)), ...size);
      if (!this.#gpu) {
        this.#board ??= new Board({ willReadFrequently: true });
        return this.#engine.classifyPixels(this.#board.pixels(picture, size, windowAt(size)), ...size);
      }
      if (!this.#drawn.has(type)) {
        try {
          return this.#copied(picture, size, type);
        } catch (error) {
          if (!DRAWABLE.has(type) || error.kind === "device-lost" || /SecurityError/.test(error.message)) throw error;
          this.#drawn.add(type);
        }
      }
      this.#board ??= new Board();
      const drawn = smaller(size, (size) => canDraw(windowAt(size)));
      return this.#engine.classify(this.#board.draw(picture, drawn, windowAt(drawn)), ...drawn, true);
    } catch (error) {
      // What another site's picture was drawn on stays closed in some browsers.
      this.#board = null;
      throw typed(error, "bad-input");
    }
  }

  /** Starts on a picture as it is; gives a promise of its pairs. A copy of video that takes the device along is not tried again. */
  #copied(picture, size, type) {
    const answer = this.#engine.classify(picture, ...size, false);
    const gpu = this.#gpu;
    answer.catch(async (error) => {
      if (VIDEO.includes(type) && (await gpu.isLostAfter(error))) this.#drawn.add(type);
    });
    return answer;
  }

  run(input) {
    return this.#call(this.#runs, async () => {
      if (arrayType(input) !== "Float32Array") throw new DynaconvError("bad-input", "expected a Float32Array");
      // Its memory may have gone to a worker while it waited for its turn: it cannot be copied then.
      const values = look(() => new Float32Array(input));
      const expected = valuesOf(this.#info);
      if (values.length !== expected) throw new DynaconvError("bad-input", `the input has ${values.length} values, expected ${expected}`);
      const scores = await this.#engine.run(values);
      this.#seen = true;
      return scores;
    });
  }

  insight() {
    return this.#call(this.#insights, async () => {
      if (!this.#seen) throw new DynaconvError("bad-input", "insight shows the last picture, and none was classified on this device yet");
      return this.#engine.insight();
    });
  }

  profile(options) {
    return this.#call(this.#profiles, async () => {
      const { repeats, warmUp, roof } = wishes(options, { repeats: 20, warmUp: 3, roof: true });
      const whole = (value, least) => Number.isInteger(value) && value >= least && value <= 10_000;
      if (!whole(repeats, 1) || !whole(warmUp, 0)) throw new DynaconvError("bad-input", "repeats and warmUp are whole numbers up to 10000");
      return JSON.parse(await this.#engine.profile(repeats, warmUp, Boolean(roof)));
    }, { fatal: LOST });
  }

  static async profilePage(profile) {
    await ready();
    try {
      return profilePage(JSON.stringify(profile));
    } catch (error) {
      throw typed(error, "bad-input");
    }
  }

  async counters() {
    return { ...this.#gpu?.counts };
  }

  loseDevice() {
    this.#gpu?.destroy();
  }

  dispose() {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#leaving.forEach((leave) => leave());
    Promise.allSettled([...this.#calls]).then(() => {
      try {
        this.#engine.free();
      } finally {
        this.#gpu?.destroy();
      }
      // What a broken engine cannot give back goes with the page.
    }).catch(() => {});
  }

  /** Makes a call; when the device fails under it, with one of the kinds that are fatal, once more on a new device. */
  #call(lane, start, { fatal = FAILED } = {}) {
    if (this.#disposed) return Promise.reject(new DynaconvError("disposed", "this classifier was disposed of"));
    const call = lane.enter(async () => {
      if (this.#recovery) await this.#recovery;
      const gpu = this.#gpu;
      try {
        return await start();
      } catch (thrown) {
        const error = typed(thrown);
        if (!gpu || !(fatal.includes(error.kind) || (await gpu.isLostAfter(error)))) throw error;
        await this.#recover(gpu);
      }
      try {
        return await start();
      } catch (thrown) {
        const error = typed(thrown);
        const lost = fatal.includes(error.kind) || (await this.#gpu?.isLostAfter(error));
        throw lost ? new DynaconvError("device-lost", error.message, { cause: error }) : error;
      }
    });
    // What it needs is kept until it has ended.
    this.#calls.add(call);
    const forget = () => this.#calls.delete(call);
    call.then(forget, forget);
    return call;
  }

  /** Opens another device, unless another call has done so since `lost` failed. */
  async #recover(lost) {
    if (this.#gpu !== lost) return;
    this.#recovery ??= (async () => {
      let gpu;
      try {
        lost.destroy();
        gpu = await Gpu.open();
        await this.#engine.reopen(gpu.device);
        [this.#gpu, this.#seen] = [gpu, false];
        // It may be of another adapter. What was found to need drawing still does.
        this.#info = Object.freeze({ ...this.#info, ...factsOf(gpu) });
        drawnOn(gpu).forEach((type) => this.#drawn.add(type));
      } catch (error) {
        gpu?.destroy();
        throw new DynaconvError("device-lost", `The GPU was lost, and no other took its place: ${error.message}`, { cause: error });
      } finally {
        this.#recovery = null;
      }
    })();
    await this.#recovery;
  }
}

// What a typed array is, whichever window it comes from.
const { get: tag } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Float32Array.prototype), Symbol.toStringTag);
const arrayType = (value) => tag.call(value);

/** What a page tells of its options, and the usual of what it does not. */
function wishes(options, usual) {
  const wish = ([name, value]) => {
    const { [name]: told = value } = options ?? {};
    return [name, told];
  };
  return look(() => Object.fromEntries(Object.entries(usual).map(wish)));
}

/** A value in a sentence: not everything becomes text. */
function said(value) {
  return value === null || !["object", "function"].includes(typeof value) ? String(value) : `a value of type ${typeof value}`;
}

/** What is drawn on a canvas from the first on. */
function drawnOn(gpu) {
  return gpu?.software ? VIDEO : [];
}

/** A size halved until it suits. */
function smaller(size, suits) {
  while (!suits(size)) size = size.map((side) => Math.max(1, side >> 1));
  return size;
}

function absolute(url) {
  try {
    return new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href).href;
  } catch (error) {
    throw new DynaconvError("bad-input", `${url} is no address`, { cause: error });
  }
}

async function bytesFrom(source) {
  const type = arrayType(source) ?? look(() => typeOf(source));
  if (type === "Uint8Array" || type === "ArrayBuffer") {
    // What has gone to a worker has no bytes, and nothing can be read of it.
    return look(() => (source.byteLength ? new Uint8Array(source.buffer ?? source, source.byteOffset, source.byteLength) : new Uint8Array()));
  }
  if (look(() => source instanceof Blob)) {
    try {
      return new Uint8Array(await source.arrayBuffer());
    } catch (error) {
      throw new DynaconvError("bad-model", `the file cannot be read: ${error.message}`, { cause: error });
    }
  }
  throw new DynaconvError("bad-input", "expected the address of a model file, or its bytes as ArrayBuffer, Uint8Array or Blob");
}

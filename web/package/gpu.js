// Opens the browser's GPU, and counts what is made on it.

import { DynaconvError, typed } from "./error.js";
import { Device } from "./dynaconv.js";

/** How long after a failure the loss of a device may be told, in milliseconds. */
const PATIENCE = 100;

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render/i;

/** Asks the adapter what the library asks of it, which never comes back from what is thrown there. */
async function askAdapter() {
  const adapter = await navigator.gpu.requestAdapter();
  const missing = ["features", "limits", "info"].find((member) => adapter && !adapter[member]);
  if (missing) throw new DynaconvError("no-adapter", `This browser's WebGPU is too old: its adapter has no ${missing}.`);
}

/** An open device with what is known of it. */
export class Gpu {
  constructor(device) {
    const { handle } = device;
    // Both are given to the engine, which owns the device from then on.
    [this.device, this.handle, this.counts] = [device, handle, {}];
    const { vendor, architecture, device: model, description, isFallbackAdapter } = handle.adapterInfo ?? {};
    this.name = description || [vendor, architecture, model].filter(Boolean).join(" ") || "GPU";
    const known = `${this.name} ${architecture}`;
    this.software = Boolean(isFallbackAdapter) || SOFTWARE.test(known);
    this.compilesLate = !/swiftshader/i.test(known);
    for (const name of ["Buffer", "Texture", "BindGroup", "BindGroupLayout", "PipelineLayout", "ShaderModule", "ComputePipeline", "QuerySet"]) {
      this.#count(handle, `create${name}`);
    }
  }

  /** Opens the best adapter there is. */
  static async open() {
    if (!globalThis.navigator?.gpu) {
      const where = globalThis.isSecureContext ? "" : "; it has it on https pages and on localhost only";
      throw new DynaconvError("no-webgpu", `This browser has no WebGPU${where}.`);
    }
    try {
      await askAdapter();
      return new Gpu(await Device.open());
    } catch (error) {
      throw typed(error, "no-adapter");
    }
  }

  /** Counts the calls of a method of one object. */
  #count(object, name) {
    const method = object[name];
    this.counts[name] = 0;
    object[name] = (...values) => {
      this.counts[name] += 1;
      return method.apply(object, values);
    };
  }

  /** Whether the device is lost, which may be told after a failure that comes of it: a moment is waited for that. */
  async isLostAfter({ kind }) {
    if (kind !== "device") return kind === "device-lost";
    const lost = this.handle.lost.then(() => true);
    return Promise.race([lost, new Promise((resolve) => setTimeout(resolve, PATIENCE, false))]);
  }

  destroy() {
    this.handle.destroy();
  }
}

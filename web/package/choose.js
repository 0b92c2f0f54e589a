// Makes a model ready on the device that is wanted, or on the one that suits it best.

import { Engine, probe } from "./dynaconv.js";
import { typed } from "./error.js";
import { Gpu } from "./gpu.js";

// What a device does no more work after. A profile makes a second network ready, which may fail while the first is sound.
export const LOST = ["device-lost"];
export const FAILED = ["device", ...LOST];

/** What `info` says of where a network runs, on a GPU or on the CPU. */
export function factsOf(gpu) {
  if (!gpu) return { device: "cpu", adapter: "CPU", software: false, notice: null };
  const { name: adapter, software } = gpu;
  return { device: "gpu", adapter, software, notice: software ? `${adapter} is no GPU but a program that computes on the CPU.` : null };
}

/** Values of a network's input. */
export function valuesOf({ input }) {
  return input.reduce((product, length) => product * length);
}

/** A model on the device that is wanted, or on the one that suits it best. */
export async function choose(bytes, options, device) {
  if (device === "cpu") return loadOn(bytes, options, null);
  let gpu;
  try {
    gpu = await Gpu.open();
  } catch (error) {
    if (device === "gpu" || !["no-webgpu", "no-adapter", ...FAILED].includes(error.kind)) throw error;
    return withNotice(await loadOn(bytes, options, null), `${sentence(error.message)} The CPU answers instead.`);
  }
  if (!gpu.software || device === "gpu") return loadOn(bytes, options, gpu);
  const { notice } = factsOf(gpu);
  let worthwhile;
  try {
    worthwhile = (await probe(gpu.device.share())) <= (await probe());
  } catch (error) {
    gpu.destroy();
    const reason = sentence(`it failed when its speed was measured: ${typed(error).message}`);
    return withNotice(await loadOn(bytes, options, null), `${notice} ${reason} The CPU answers instead.`);
  }
  if (worthwhile) {
    return withNotice(await loadOn(bytes, options, gpu), `${notice} It was measured to be the faster way here all the same.`);
  }
  gpu.destroy();
  return withNotice(await loadOn(bytes, options, null), `${notice} The CPU was measured to be faster without it, and answers instead.`);
}

/** Loads a model, and runs it once where all is compiled only then: before the first picture. */
async function loadOn(bytes, { topK, half }, gpu) {
  let engine;
  try {
    engine = await Engine.load(bytes, topK, half, gpu?.device);
    const info = { ...JSON.parse(engine.description), ...factsOf(gpu) };
    [info.labels, info.input].forEach(Object.freeze);
    if (gpu?.compilesLate) await engine.run(new Float32Array(valuesOf(info)));
    return { engine, gpu, info };
  } catch (error) {
    engine?.free();
    gpu?.destroy();
    throw typed(error);
  }
}

/** A message as a sentence of a notice. */
function sentence(message) {
  return `${message[0].toUpperCase()}${message.slice(1)}${message.endsWith(".") ? "" : "."}`;
}

function withNotice(loaded, notice) {
  return { ...loaded, info: { ...loaded.info, notice } };
}

// The networks that the page offers: those beside it in models/, and the visitor's own files.

import { fetchFile } from "./files.js";

// What the known files are, in the order they are offered; any other file in models/ is offered by its name.
const KNOWN = {
  "mobilenet-v2-dcd-cifar10": "Dynamic (DCD)",
  "mobilenet-v2-cifar10": "Static twin",
  "efficientnet-lite0": "EfficientNet-Lite0",
};

/** The package, or an error that says what is missing. */
export async function loadPackage() {
  try {
    return await import("../pkg/index.js");
  } catch (error) {
    const text = `The package is missing or broken (${error.message}). scripts/build-web.sh makes it.`;
    throw Object.assign(new Error(text), { kind: "no-package" });
  }
}

/** One network on offer. `source` is what Classifier.load takes. */
function network(key, title, source, bytes) {
  return { key, title, source, bytes };
}

/** Networks listed in models/index.json. */
export async function listNetworks() {
  const folder = new URL("../models/", import.meta.url);
  const remedy = "Check the connection and load the page again, or choose your own file.";
  const files = await fetchFile(new URL("index.json", folder), "models/index.json, the list of networks,", remedy, (response) => response.json());
  const rank = (stem) => (Object.keys(KNOWN).indexOf(stem) + 1) || Infinity;
  return files
    .map(({ file, bytes }) => ({ stem: file.replace(/\.safetensors$/, ""), file, bytes }))
    .sort((a, b) => rank(a.stem) - rank(b.stem) || a.stem.localeCompare(b.stem))
    .map(({ stem, file, bytes }) => network(stem, KNOWN[stem] ?? stem, new URL(file, folder), bytes));
}

/** A network from a file of the visitor. */
export function ownNetwork(file) {
  return network(`own:${file.name}:${file.size}:${file.lastModified}`, file.name.replace(/\.safetensors$/i, ""), file, file.size);
}

/** Whether a dropped file means to be a model. */
export function isModel(file) {
  return /\.(safetensors|pth|pth\.tar|pt|onnx|tflite|bin)$/i.test(file.name);
}

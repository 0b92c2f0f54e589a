// The sample pictures beside the page.

import { byId, make } from "./elements.js";
import { fetchFile } from "./files.js";
import { pictureFrom } from "./pictures.js";

const SAMPLES = [["cat", "Cat"], ["coffee", "Coffee"], ["rocket", "Rocket"]];

const address = (stem) => new URL(`../pictures/${stem}.jpg`, import.meta.url);

/** A sample as a picture. */
export async function sampleOf(stem) {
  const name = `${stem}.jpg`;
  const blob = await fetchFile(address(stem), name, "Check the connection and choose it again.", (response) => response.blob());
  return pictureFrom(blob, name);
}

/** A button for each sample; `open` gets a promise of the picture. */
export function offerSamples(open) {
  for (const [stem, name] of SAMPLES) {
    const button = make("button", { type: "button", className: "sample" }, make("img", { src: address(stem).href, alt: `${name} sample`, width: 56, height: 56 }));
    button.addEventListener("click", () => open(sampleOf(stem)));
    byId("samples").append(make("li", {}, button));
  }
}

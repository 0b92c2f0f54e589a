// Still pictures: from files, the clipboard and samples to something a classifier takes.

import { fetchFile } from "./files.js";

/** A still picture: `source` is an ImageBitmap, upright. */
export async function pictureFrom(blob, name) {
  try {
    const source = await createImageBitmap(blob);
    return { name, source, width: source.width, height: source.height, live: false };
  } catch {
    throw new Error(`${name} is not a picture that this browser can read.`);
  }
}

/** A sample picture, by its address. */
export async function sampleFrom(url, name) {
  const blob = await fetchFile(url, name, "Check the connection and choose it again.", (response) => response.blob());
  return pictureFrom(blob, name);
}

/** What a video shows now, as a still picture. */
export async function frameOf(video, name) {
  const source = await createImageBitmap(video);
  return { name, source, width: source.width, height: source.height, live: false };
}

/** Draws the middle square of a picture over the whole canvas: the part that the networks look at. */
export function drawSquare(canvas, picture) {
  const pen = canvas.getContext("2d");
  const side = Math.min(picture.width, picture.height);
  const [left, top] = [(picture.width - side) / 2, (picture.height - side) / 2];
  pen.imageSmoothingQuality = "high";
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(picture.source, left, top, side, side, 0, 0, canvas.width, canvas.height);
}

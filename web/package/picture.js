// What can be classified: its size, its pixels, a smaller copy of it.

import { DynaconvError } from "./error.js";

/** What a picture is, whichever window it comes from, such as `HTMLImageElement`. */
export function typeOf(picture) {
  return Object.prototype.toString.call(picture).slice(8, -1);
}

const SIZES = {
  HTMLImageElement: (image) => [image.naturalWidth, image.naturalHeight],
  HTMLCanvasElement: (canvas) => [canvas.width, canvas.height],
  OffscreenCanvas: (canvas) => [canvas.width, canvas.height],
  HTMLVideoElement: (video) => (video.readyState >= 2 ? [video.videoWidth, video.videoHeight] : [0, 0]),
  ImageBitmap: (bitmap) => [bitmap.width, bitmap.height],
  ImageData: (data) => [data.width, data.height],
  VideoFrame: (frame) => [frame.displayWidth, frame.displayHeight],
};

/** Columns and rows of a picture that is ready. */
export function sizeOf(picture) {
  const type = typeOf(picture);
  const size = SIZES[type]?.(picture);
  if (!size) throw new DynaconvError("bad-input", `expected one of ${Object.keys(SIZES).join(", ")}, found ${type}`);
  if (!(size[0] > 0 && size[1] > 0)) {
    throw new DynaconvError("bad-input", `this ${type} has no pixels: not loaded yet, broken, closed or empty`);
  }
  return size;
}

/** An image that is still loading is waited for. */
export function isLoading(picture) {
  return typeOf(picture) === "HTMLImageElement" && !picture.complete;
}

/** The bytes of a picture that is just RGBA in memory. */
export function bytesOf(picture) {
  const plain = typeOf(picture) === "ImageData" && picture.data instanceof Uint8ClampedArray && picture.colorSpace !== "display-p3";
  return plain ? picture.data : undefined;
}

/** A canvas that pictures are drawn on where their own pixels cannot be had. */
export class Board {
  #canvas = new OffscreenCanvas(1, 1);
  #pen;

  /** `willReadFrequently` keeps the canvas in memory, for `bytes`. */
  constructor(settings) {
    this.#pen = this.#canvas.getContext("2d", settings);
  }

  /** The canvas with a picture on it. */
  draw(picture, [width, height]) {
    // Setting a size also clears.
    Object.assign(this.#canvas, { width, height });
    if (typeOf(picture) === "ImageData") this.#pen.putImageData(picture, 0, 0);
    else this.#pen.drawImage(picture, 0, 0, width, height);
    return this.#canvas;
  }

  /** A picture's RGBA bytes. */
  bytes(picture, [width, height]) {
    this.draw(picture, [width, height]);
    return this.#pen.getImageData(0, 0, width, height, { colorSpace: "srgb" }).data;
  }
}

/** A smaller copy of a picture; to be closed after use. */
export function shrunk(picture, [resizeWidth, resizeHeight]) {
  return createImageBitmap(picture, { resizeWidth, resizeHeight, resizeQuality: "high", premultiplyAlpha: "none" });
}

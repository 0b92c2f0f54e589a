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
  if (typeOf(picture) !== "ImageData" || picture.colorSpace === "display-p3") return undefined;
  const { data, width, height } = picture;
  return data instanceof Uint8ClampedArray && data.length === 4 * width * height ? data : undefined;
}

/** The pixels of a window of RGBA bytes, in rows of `width`. */
export function cut(bytes, width, [left, top, columns, rows]) {
  const pixels = new Uint32Array(columns * rows);
  const copy = new Uint8Array(pixels.buffer);
  for (let row = 0; row < rows; row++) {
    const first = 4 * ((top + row) * width + left);
    copy.set(bytes.subarray(first, first + 4 * columns), 4 * columns * row);
  }
  return pixels;
}

// What a canvas holds in every browser.
const MOST_PIXELS = 4096 * 4096;

/** Whether a window can be drawn on a canvas of every browser. */
export function canDraw([, , columns, rows]) {
  return columns * rows <= MOST_PIXELS;
}

/** A canvas that pictures are drawn on where their own pixels cannot be had. */
export class Board {
  #canvas = new OffscreenCanvas(1, 1);
  #pen;

  /** `willReadFrequently` keeps the canvas in memory, for `pixels`. */
  constructor(settings) {
    this.#pen = this.#canvas.getContext("2d", settings);
  }

  /** The canvas with a window of a picture on it, of the picture at the given size. */
  draw(picture, [width, height], [left, top, columns, rows]) {
    this.#resize(columns, rows);
    if (typeOf(picture) === "ImageData") {
      this.#pen.putImageData(picture, -left, -top);
      return this.#canvas;
    }
    const [ownWidth, ownHeight] = sizeOf(picture);
    const [across, down] = [ownWidth / width, ownHeight / height];
    this.#pen.imageSmoothingQuality = "high";
    this.#pen.drawImage(picture, left * across, top * down, columns * across, rows * down, 0, 0, columns, rows);
    return this.#canvas;
  }

  /** The RGBA pixels of a window of a picture at the given size. */
  pixels(picture, size, window) {
    this.draw(picture, size, window);
    const [, , columns, rows] = window;
    return new Uint32Array(this.#pen.getImageData(0, 0, columns, rows, { colorSpace: "srgb" }).data.buffer);
  }

  /** An empty canvas of another size. One that is larger than a browser has memory for takes no ink, and says nothing. */
  #resize(width, height) {
    const same = this.#canvas.width === width && this.#canvas.height === height;
    // Setting a size also clears.
    Object.assign(this.#canvas, { width, height });
    if (same) return;
    this.#pen.fillRect(width - 1, height - 1, 1, 1);
    const [, , , ink] = this.#pen.getImageData(width - 1, height - 1, 1, 1).data;
    if (ink !== 255) throw new DynaconvError("bad-input", `this browser has no canvas of ${width} × ${height} pixels, which the picture needs`);
    this.#pen.clearRect(0, 0, width, height);
  }
}

/** A smaller copy of a picture; to be closed after use. */
export function shrunk(picture, [resizeWidth, resizeHeight]) {
  return createImageBitmap(picture, { resizeWidth, resizeHeight, resizeQuality: "high", premultiplyAlpha: "none" });
}

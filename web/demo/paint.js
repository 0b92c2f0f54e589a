// Drawing of Φ and λ on canvases: a palette that diverges from zero, a scale that shows small values beside large ones.

import { largest, median } from "./layers.js";

// Stops from the most negative to the most positive, in the page's two themes.
const STOPS = {
  light: ["#7a3500", "#d9700f", "#f7b877", "#f6f6f4", "#a9b6fb", "#4059e0", "#131f7d"],
  dark: ["#ffdcb8", "#f28a2b", "#7c430f", "#15181e", "#2b3a94", "#6f86ff", "#d3daff"],
};
const STEPS = 511;

// What λ is drawn with.
const INKS = {
  light: { plus: "#4059e0", minus: "#d9700f", line: "#9aa1ad", then: "#0f1522" },
  dark: { plus: "#7d92ff", minus: "#f28a2b", line: "#565e6c", then: "#f2f4f8" },
};

function channels(colour) {
  return [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
}

function table(stops) {
  const colours = stops.map(channels);
  return Uint32Array.from({ length: STEPS }, (_, step) => {
    const place = (step / (STEPS - 1)) * (colours.length - 1);
    const below = Math.min(Math.floor(place), colours.length - 2);
    const part = place - below;
    const [red, green, blue] = colours[below].map((from, index) =>
      Math.round(from + (colours[below + 1][index] - from) * part));
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0; // little-endian RGBA, as in every browser
  });
}

const PALETTES = { light: table(STOPS.light), dark: table(STOPS.dark) };

/** Maps values to colours: linear near zero, logarithmic beyond, symmetric. It only ever grows, so live pictures do not flicker. */
export class Scale {
  #soft = 0;
  #most = 0;

  /** Takes lists of numbers into account: the typical magnitude becomes the linear part, the largest the end. */
  include(lists) {
    for (const list of lists) this.#most = Math.max(this.#most, largest(list));
    if (this.#soft === 0) this.#soft = median(lists.map((list) => median(Array.from(list, Math.abs))));
  }

  /** −1 … 1. */
  place(value) {
    const soft = this.#soft || this.#most / 8 || 1;
    return this.#most > 0 ? Math.asinh(value / soft) / Math.asinh(this.#most / soft) : 0;
  }

  /** The value at a place: the inverse of `place`. */
  value(place) {
    const soft = this.#soft || this.#most / 8 || 1;
    return soft * Math.sinh(place * Math.asinh(this.#most / soft));
  }
}

/** Draws values one pixel each, row by row; CSS enlarges them. The image is kept on the canvas and used again. */
export function paintMap(canvas, values, side, scale, theme) {
  const rows = values.length / side;
  if (canvas.width !== side || canvas.height !== rows || !canvas.image) {
    [canvas.width, canvas.height] = [side, rows];
    canvas.image = new ImageData(side, rows);
    canvas.words = new Uint32Array(canvas.image.data.buffer);
    canvas.pen = canvas.getContext("2d");
  }
  const palette = PALETTES[theme];
  const half = (STEPS - 1) / 2;
  for (let index = 0; index < values.length; index++) {
    const place = Math.max(-1, Math.min(1, scale.place(values[index])));
    canvas.words[index] = palette[Math.round(half + half * place)];
  }
  canvas.pen.putImageData(canvas.image, 0, 0);
}

/** Draws λ as bars around 1, up to `reach` away from it; of several channels in one pixel column, both extremes. The reference's
 * gains are marks on the bars. */
export function paintGains(canvas, gains, reach, theme, reference = null) {
  const ink = INKS[theme];
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  const middle = Math.round(height / 2);
  const heightOf = (gain) => Math.max(-1, Math.min(1, (gain - 1) / reach)) * (middle - 1);
  const columns = Math.min(gains.length, width);
  const edge = (column) => Math.round((column * width) / columns);
  const extremes = (list, column) => {
    let [low, high] = [0, 0];
    const end = Math.max(Math.ceil(((column + 1) * list.length) / columns), 1);
    for (let index = Math.floor((column * list.length) / columns); index < end; index++) {
      low = Math.min(low, heightOf(list[index]));
      high = Math.max(high, heightOf(list[index]));
    }
    return [low, high];
  };
  pen.clearRect(0, 0, width, height);
  for (let column = 0; column < columns; column++) {
    const [left, right] = [edge(column), edge(column + 1)];
    const gap = right - left > 3 ? 1 : 0;
    const [low, high] = extremes(gains, column);
    pen.fillStyle = ink.plus;
    pen.fillRect(left, middle - high, right - left - gap, high);
    pen.fillStyle = ink.minus;
    pen.fillRect(left, middle, right - left - gap, -low);
    if (reference) {
      const [lowThen, highThen] = extremes(reference, column);
      pen.fillStyle = ink.then;
      for (const then of [lowThen, highThen]) {
        if (then !== 0) pen.fillRect(left, Math.round(middle - then) - 1, Math.max(right - left - gap, 1), 2);
      }
    }
  }
  pen.fillStyle = ink.line;
  pen.fillRect(0, middle, width, 1);
}

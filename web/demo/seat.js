// One network at work: its loading, its answers, its times.

import { byId, count, make, megabytes, milliseconds, write } from "./elements.js";

const PARTS = ["prepare", "network", "readback"];
const TOP = 5;

/** A class's name; networks without names number their classes. */
export function nameOf({ label, class: number }) {
  return label || `class ${number}`;
}

/** What the network made for the picture that it has just classified; again where the device was lost since, and knows of no picture. */
export async function insight(classifier, source) {
  try {
    return await classifier.insight();
  } catch (error) {
    if (error.kind !== "bad-input") throw error;
    await classifier.classify(source);
    return classifier.insight();
  }
}

export class Seat {
  classifier = null;
  network = null;
  /** Counts loads, so that one that was overtaken by another can tell. */
  load = 0;

  #interval = 0;
  #last = 0;

  constructor() {
    this.root = byId("seat").content.firstElementChild.cloneNode(true);
    this.rows = Array.from({ length: TOP }, () => {
      const row = make("li", { hidden: true }, make("span", { className: "label" }), make("span", { className: "value" }),
        make("span", { className: "bar", "aria-hidden": "true" }));
      this.#find(".guesses").append(row);
      return row;
    });
  }

  #find(selector) {
    return this.root.querySelector(selector);
  }

  showLoading(title, loaded, total) {
    const progress = this.#find("progress");
    this.root.setAttribute("aria-busy", "true");
    this.#find(".loading").hidden = false;
    const arrived = total !== null && loaded >= total;
    if (total && !arrived) progress.value = loaded / total;
    else progress.removeAttribute("value");
    const amount = total ? `${megabytes(loaded)} of ${megabytes(total)}` : megabytes(loaded);
    write(this.#find(".loading p"), arrived ? `Preparing ${title}…` : `Loading ${title}: ${amount}`);
  }

  hideLoading() {
    this.root.setAttribute("aria-busy", "false");
    this.#find(".loading").hidden = true;
  }

  /** Says that no network answers here, in place of answers and times. */
  showNone() {
    this.root.classList.add("none");
    write(this.#find(".facts"), "No network answers yet: choose one above, or your own file.");
  }

  /** Takes a loaded network; the one before is disposed. */
  take(network, classifier) {
    this.classifier?.dispose();
    [this.network, this.classifier] = [network, classifier];
    this.root.dataset.network = network.key;
    this.root.classList.remove("none");
    const { info } = classifier;
    write(this.#find("h3"), network.title);
    this.root.setAttribute("aria-label", network.title);
    const loading = `${megabytes(info.bytes)} ready in ${(info.loadMilliseconds / 1000).toFixed(1)} s`;
    write(this.#find(".facts"), `${info.model}: ${(info.parameters / 1e6).toFixed(2)} million parameters, `
      + `${info.input[2]} × ${info.input[1]} pixels, ${count(info.launches)} launches a picture, ${loading}.`
      + (info.device === "cpu" || info.software ? " Its times are a processor's, not a graphics card's." : ""));
    const few = info.classes <= 20 && info.labels.length > 0;
    write(this.#find(".knows"), few
      ? `It knows ${info.classes} things and answers with one of them whatever it sees: ${info.labels.join(", ")}.`
      : `It knows ${count(info.classes)} things.`);
    for (const row of this.rows) row.hidden = true;
    this.rest();
  }

  leave() {
    this.classifier?.dispose();
    this.classifier = null;
    this.network = null;
  }

  showGuesses(guesses) {
    this.rows.forEach((row, index) => {
      const guess = guesses[index];
      row.hidden = !guess;
      if (!guess) return;
      const [label, value, bar] = row.children;
      const name = nameOf(guess);
      write(label, name);
      label.title = name;
      write(value, `${(100 * guess.probability).toFixed(1)} %`);
      bar.style.setProperty("--part", guess.probability.toFixed(4));
    });
  }

  /** Starts counting frames anew. */
  rest() {
    [this.#interval, this.#last] = [0, 0];
    write(this.#find(".rate"), "");
  }

  showTiming(timing, live) {
    if (!timing) return;
    write(this.#find(".total"), milliseconds(timing.total));
    const sum = PARTS.reduce((total, part) => total + Math.max(timing[part], 0), 0) || 1;
    for (const part of PARTS) {
      this.#find(`.stack .${part}`).style.setProperty("flex-grow", (Math.max(timing[part], 0) / sum).toFixed(4));
      write(this.#find(`dl .${part} dd`), `${milliseconds(timing[part])} ms`);
    }
    write(this.#find(".clock"), "by the page's clock");
    if (!live) return;
    const now = performance.now();
    if (this.#last > 0) {
      const interval = now - this.#last;
      this.#interval = this.#interval > 0 ? 0.85 * this.#interval + 0.15 * interval : interval;
      write(this.#find(".rate"), `${(1000 / this.#interval).toFixed(1)} frames per second`);
    }
    this.#last = now;
  }
}

// One dynamic layer, enlarged: its maps side by side, its gains, and the value under the cursor.

import { count, make, percent, signed, write } from "./elements.js";
import { minus, norm, relativeDifference, spread, title } from "./layers.js";
import { speak } from "./messages.js";
import { paintGains, paintMap } from "./paint.js";
import { drawSquare } from "./pictures.js";

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export class LayerPanel {
  #now = null; // { layer, former, pictures, scales, reach, theme }
  #cursor = null; // [row, column] of Φ
  #channel = null; // index into λ

  constructor(root) {
    this.heading = make("h3");
    this.facts = make("p", { className: "layer-facts" });
    this.maps = make("div", { className: "maps" });
    this.figures = ["current", "former", "difference"].map((kind) => {
      const canvas = make("canvas", { "aria-hidden": "true" });
      const mark = make("span", { className: "cursor", hidden: true });
      const thumb = make("canvas", { className: "thumb", width: 64, height: 64, "aria-hidden": "true", hidden: kind === "difference" });
      const caption = make("span");
      const figure = make("figure", { className: `map ${kind}` },
        make("div", { className: "frame" }, canvas, mark), make("figcaption", {}, thumb, caption));
      this.maps.append(figure);
      return { figure, canvas, mark, thumb, caption };
    });
    // The first map takes the keys for all three.
    this.keys = this.maps.querySelector(".frame");
    this.keys.tabIndex = 0;
    this.keys.setAttribute("role", "application");
    this.keys.setAttribute("aria-roledescription", "heat map");
    this.value = make("p", { className: "readout" });
    this.gains = make("canvas", { "aria-hidden": "true", width: 960, height: 96 });
    this.gainsMark = make("span", { className: "cursor line", hidden: true });
    this.gainsFrame = make("div", {
      className: "gains", tabIndex: 0, role: "application", "aria-roledescription": "bar chart",
    }, this.gains, this.gainsMark, make("span", { className: "tick high" }), make("span", { className: "tick one", textContent: "1" }),
    make("span", { className: "tick low" }));
    this.gainsHeading = make("h4");
    this.gain = make("p", { className: "readout" });
    root.append(this.heading, this.facts, this.maps, this.value,
      this.gainsHeading, this.gainsFrame, this.gain);
    this.#listen();
  }

  /** Shows a layer; `former` is the same layer for the reference picture, or null. */
  show(layer, former, context) {
    if (this.#now?.layer.name !== layer.name || this.#now.layer.phi.length !== layer.phi.length) {
      [this.#cursor, this.#channel] = [null, null];
    }
    this.#now = { layer, former, ...context };
    this.#describe();
    this.#paint();
    this.#readout();
  }

  #describe() {
    const { layer, former, pictures } = this.#now;
    const { latent, inputs, outputs } = layer;
    const name = title(layer.name);
    write(this.heading, name);
    write(this.facts, `${layer.name} · ${count(inputs)} inputs, ${count(outputs)} outputs, Φ is ${latent} × ${latent}`);
    this.keys.setAttribute("aria-label", `Φ of ${name}, ${latent} rows and ${latent} columns. Arrow keys move over its values.`);
    this.gainsFrame.setAttribute("aria-label", `λ of ${name}, ${outputs} channels. Arrow keys move over its values.`);
    this.maps.classList.toggle("three", former !== null);
    const [current, then, difference] = this.figures;
    for (const { figure } of [then, difference]) figure.hidden = former === null;
    write(current.caption, `Φ of ${pictures.current.name}`);
    drawThumb(current.thumb, pictures.current);
    write(this.gainsHeading, `λ(x): the gain of each output channel${former ? `, with marks for ${pictures.former.name}` : ""}`);
    if (former) {
      write(then.caption, `Φ of ${pictures.former.name}`);
      drawThumb(then.thumb, pictures.former);
      write(difference.caption, `Difference: ${percent(relativeDifference(layer.phi, former.phi))} of ‖Φ‖`);
    }
  }

  #paint() {
    const { layer, former, scales, reach, theme } = this.#now;
    const [current, then, difference] = this.figures;
    paintMap(current.canvas, layer.phi, layer.latent, scales.value, theme);
    if (former) {
      paintMap(then.canvas, former.phi, layer.latent, scales.value, theme);
      paintMap(difference.canvas, minus(layer.phi, former.phi), layer.latent, scales.difference, theme);
    }
    paintGains(this.gains, layer.lambda, reach, theme, former?.lambda ?? null);
    write(this.gainsFrame.querySelector(".high"), (1 + reach).toFixed(1));
    write(this.gainsFrame.querySelector(".low"), (1 - reach).toFixed(1));
  }

  #readout() {
    const { layer } = this.#now;
    write(this.value, this.#cursor ? this.#valueAt(...this.#cursor) : this.#wholeMap());
    write(this.gain, this.#channel !== null ? this.#gainAt(this.#channel) : this.#wholeGains());
    for (const { mark } of this.figures) {
      mark.hidden = this.#cursor === null;
      if (this.#cursor) {
        const part = 100 / layer.latent;
        Object.assign(mark.style, { top: `${this.#cursor[0] * part}%`, left: `${this.#cursor[1] * part}%`, width: `${part}%`, height: `${part}%` });
      }
    }
    this.gainsMark.hidden = this.#channel === null;
    if (this.#channel !== null) this.gainsMark.style.left = `${(100 * (this.#channel + 0.5)) / layer.outputs}%`;
  }

  #valueAt(row, column) {
    const { layer, former } = this.#now;
    const index = row * layer.latent + column;
    const value = `Φ row ${row + 1}, column ${column + 1}: ${signed(layer.phi[index])}`;
    if (!former) return value;
    return `${value}, before ${signed(former.phi[index])}, difference ${signed(layer.phi[index] - former.phi[index])}`;
  }

  #gainAt(channel) {
    const { layer, former } = this.#now;
    const value = `λ of channel ${channel + 1}: ${layer.lambda[channel].toFixed(3)}`;
    return former ? `${value}, before ${former.lambda[channel].toFixed(3)}` : value;
  }

  #wholeMap() {
    const { phi } = this.#now.layer;
    return `‖Φ‖ = ${norm(phi).toFixed(2)}, values from ${signed(Math.min(...phi))} to ${signed(Math.max(...phi))}`;
  }

  #wholeGains() {
    const { layer: { lambda }, former } = this.#now;
    const { least, mean, most } = spread(lambda);
    const moved = former ? `; changed by ${percent(relativeDifference(lambda, former.lambda))}` : "";
    return `from ${least.toFixed(2)} to ${most.toFixed(2)}, mean ${mean.toFixed(3)}${moved}`;
  }

  #listen() {
    for (const { canvas } of this.figures) {
      canvas.addEventListener("pointermove", (event) => this.#moveTo(this.#cellUnder(event, canvas)));
      canvas.addEventListener("pointerdown", (event) => this.#moveTo(this.#cellUnder(event, canvas)));
      canvas.addEventListener("pointerleave", (event) => {
        if (event.pointerType === "mouse" && document.activeElement !== this.keys) this.#moveTo(null);
      });
    }
    this.keys.addEventListener("keydown", (event) => {
      if (!this.#now || !(event.key in MOVES)) return;
      event.preventDefault();
      const last = this.#now.layer.latent - 1;
      const [down, right] = this.#cursor ? MOVES[event.key] : [0, 0];
      const [row, column] = this.#cursor ?? [0, 0];
      this.#moveTo([clamp(row + down, last), clamp(column + right, last)]);
      speak(this.value.textContent);
    });
    this.keys.addEventListener("blur", () => this.#moveTo(null));
    this.gains.addEventListener("pointermove", (event) => this.#toChannel(this.#channelUnder(event)));
    this.gains.addEventListener("pointerdown", (event) => this.#toChannel(this.#channelUnder(event)));
    this.gains.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && document.activeElement !== this.gainsFrame) this.#toChannel(null);
    });
    this.gainsFrame.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
      if (!this.#now || step === undefined) return;
      event.preventDefault();
      this.#toChannel(clamp((this.#channel ?? -1) + step, this.#now.layer.outputs - 1));
      speak(this.gain.textContent);
    });
    this.gainsFrame.addEventListener("blur", () => this.#toChannel(null));
  }

  #cellUnder(event, canvas) {
    const box = canvas.getBoundingClientRect();
    const side = this.#now?.layer.latent ?? 1;
    const cell = (at, from, length) => clamp(Math.floor(((at - from) / length) * side), side - 1);
    return [cell(event.clientY, box.top, box.height), cell(event.clientX, box.left, box.width)];
  }

  #channelUnder(event) {
    const box = this.gains.getBoundingClientRect();
    const outputs = this.#now?.layer.outputs ?? 1;
    return clamp(Math.floor(((event.clientX - box.left) / box.width) * outputs), outputs - 1);
  }

  #moveTo(cell) {
    this.#cursor = cell;
    if (this.#now) this.#readout();
  }

  #toChannel(channel) {
    this.#channel = channel;
    if (this.#now) this.#readout();
  }
}

const clamp = (value, last) => Math.max(0, Math.min(last, value));

/** A still picture is drawn once, a live one at each frame. */
function drawThumb(canvas, picture) {
  if (canvas.picture === picture && !picture.live) return;
  canvas.picture = picture;
  drawSquare(canvas, picture);
}

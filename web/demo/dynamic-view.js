// The dynamic view: every layer that made its own weights, as a mosaic, one of them enlarged, and all of them in numbers.

import { byId, count, make, percent, roving, signed, write } from "./elements.js";
import { alike, largest, minus, norm, relativeDifference, rms, shortTitle, spread, title } from "./layers.js";
import { LayerPanel } from "./layer-panel.js";
import { Scale, paintGains, paintMap } from "./paint.js";
import { onTheme, theme } from "./theme.js";

const TABLE_EVERY = 500; // milliseconds between two updates of the table

export class DynamicView {
  #layers = null;
  #reference = null; // { picture, layers }
  #picture = null;
  #selected = 0;
  #tiles = [];
  #scales = { value: new Scale(), difference: new Scale() };
  #reach = 0.1;
  #tableAt = 0;

  /** Whether the view is on the screen, or nearly: live pictures need not be read back for it otherwise. */
  inSight = true;

  constructor() {
    const watch = ([entry]) => { this.inSight = entry.isIntersecting; };
    new IntersectionObserver(watch, { rootMargin: "50%" }).observe(document.querySelector(".dynamic"));
    this.panel = new LayerPanel(byId("layer"));
    roving(byId("mosaic"), (index) => this.select(index));
    for (const input of document.getElementsByName("shown")) input.addEventListener("change", () => this.#repaint());
    byId("table-details").addEventListener("toggle", () => this.#fillTable(true));
    onTheme(() => this.#repaint());
  }

  /** Says why there is nothing to see. */
  clear(reason) {
    this.#layers = null;
    for (const id of ["dynamic-body", "dynamic-tools", "table-details"]) byId(id).hidden = true;
    write(byId("dynamic-summary"), reason);
    write(byId("explain-numbers"), "");
  }

  /** Shows what a network made for a picture; `reference` is { picture, layers } of another one, or null. */
  show(layers, picture, reference) {
    const fresh = this.#layers === null || !alike(layers, this.#layers);
    const compared = reference && alike(reference.layers, layers) ? reference : null;
    if (fresh) this.#build(layers);
    if (fresh || compared?.layers !== this.#reference?.layers) this.#scales.difference = new Scale();
    [this.#layers, this.#picture, this.#reference] = [layers, picture, compared];
    this.#measure();
    this.#repaint();
  }

  select(index) {
    this.#selected = index;
    this.#markTile();
    this.#showLayer();
  }

  #markTile() {
    this.#tiles.forEach(({ tile }, place) => {
      const selected = place === this.#selected;
      tile.setAttribute("aria-checked", String(selected));
      tile.tabIndex = selected ? 0 : -1;
    });
  }

  #build(layers) {
    this.#scales.value = new Scale();
    this.#reach = 0.1;
    this.#tiles = layers.map((layer, index) => {
      const tile = byId("tile").content.firstElementChild.cloneNode(true);
      tile.setAttribute("aria-label", `${title(layer.name)}, Φ ${layer.latent} × ${layer.latent}, ${layer.outputs} gains`);
      tile.title = layer.name;
      write(tile.querySelector(".name"), shortTitle(layer.name));
      tile.addEventListener("click", () => this.select(index));
      return { tile, phi: tile.querySelector(".phi"), gains: tile.querySelector(".lambda"), change: tile.querySelector(".change") };
    });
    byId("mosaic").replaceChildren(...this.#tiles.map(({ tile }) => tile));
    for (const id of ["dynamic-body", "dynamic-tools", "table-details"]) byId(id).hidden = false;
    this.#selected = Math.min(this.#selected, layers.length - 1);
    this.#markTile();
  }

  /** Scales and summary. */
  #measure() {
    const [layers, reference] = [this.#layers, this.#reference];
    this.#scales.value.include(layers.map((layer) => layer.phi));
    if (reference) {
      this.#scales.value.include(reference.layers.map((layer) => layer.phi));
      this.#scales.difference.include(layers.map((layer, index) => minus(layer.phi, reference.layers[index].phi)));
    }
    for (const layer of [...layers, ...(reference?.layers ?? [])]) {
      this.#reach = Math.max(this.#reach, Math.ceil(10 * largest(layer.lambda.map((gain) => gain - 1)) - 1e-6) / 10);
    }
    const made = layers.reduce((sum, layer) => sum + layer.phi.length + layer.lambda.length, 0);
    const steered = layers.reduce((sum, layer) => sum + layer.inputs * layer.outputs, 0);
    let text = `${layers.length} layers made ${count(made)} numbers for ${this.#picture.name}; they steer ${count(steered)} weights.`;
    if (reference) {
      const phi = mean(layers.map((layer, index) => relativeDifference(layer.phi, reference.layers[index].phi)));
      const gain = mean(layers.map((layer, index) => rms(minus(layer.lambda, reference.layers[index].lambda))));
      text += ` Against ${reference.picture.name}, Φ differs by ${percent(phi, 0)} and λ by ${gain.toFixed(2)} on average.`;
    }
    write(byId("dynamic-summary"), text);
    const [, difference] = document.getElementsByName("shown");
    difference.disabled = !reference;
    if (!reference && difference.checked) document.getElementsByName("shown")[0].checked = true;
  }

  get #showsDifference() {
    return this.#reference !== null && document.getElementsByName("shown")[1].checked;
  }

  #repaint() {
    if (!this.#layers) return;
    const scale = this.#showsDifference ? this.#scales.difference : this.#scales.value;
    const now = theme();
    this.#layers.forEach((layer, index) => {
      const { phi, gains, change } = this.#tiles[index];
      const former = this.#reference?.layers[index];
      const differs = this.#showsDifference;
      paintMap(phi, differs ? minus(layer.phi, former.phi) : layer.phi, layer.latent, scale, now);
      paintGains(gains, differs ? minus(layer.lambda, former.lambda).map((moved) => 1 + moved) : layer.lambda, this.#reach, now);
      write(change, former ? percent(relativeDifference(layer.phi, former.phi), 0) : "");
    });
    this.#showLegend(scale, now);
    this.#showLayer();
    this.#fillTable(false);
  }

  #showLegend(scale, now) {
    const ramp = Array.from({ length: 255 }, (_, step) => scale.value((step - 127) / 127));
    paintMap(byId("scale"), ramp, 255, scale, now);
    write(byId("scale-title"), this.#showsDifference ? "Difference of Φ" : "Value of Φ");
    const digits = scale.value(0.5) < 0.05 ? 3 : 2;
    const ticks = [-1, -0.5, 0, 0.5, 1].map((place) => ({ place, text: place === 0 ? "0" : signed(scale.value(place), digits) }));
    const shown = ticks.map(({ text }) => text).join(" ");
    if (byId("scale-ticks").dataset.shown === shown) return;
    byId("scale-ticks").dataset.shown = shown;
    byId("scale-ticks").replaceChildren(...ticks.map(({ text }) => make("span", { textContent: text })));
  }

  #showLayer() {
    const layer = this.#layers?.[this.#selected];
    if (!layer) return;
    const pictures = { current: this.#picture, former: this.#reference?.picture };
    const context = { pictures, scales: this.#scales, reach: this.#reach, theme: theme() };
    this.panel.show(layer, this.#reference?.layers[this.#selected] ?? null, context);
    const made = layer.phi.length + layer.lambda.length;
    write(byId("explain-numbers"), `In ${title(layer.name)}, ${count(made)} numbers made from the picture `
      + `(${layer.latent} × ${layer.latent} in Φ and ${count(layer.outputs)} in λ) steer ${count(layer.inputs * layer.outputs)} weights.`);
  }

  #fillTable(now) {
    if (!this.#layers || !byId("table-details").open) return;
    if (!now && performance.now() - this.#tableAt < TABLE_EVERY) return;
    this.#tableAt = performance.now();
    const heads = ["Layer", "Inputs", "Outputs", "Latent", "‖Φ‖", "λ from", "λ to", "λ mean"];
    if (this.#reference) heads.push("Φ differs", "λ differs");
    const rows = this.#layers.map((layer, index) => {
      const { least, mean: middle, most } = spread(layer.lambda);
      const cells = [layer.inputs, layer.outputs, layer.latent, norm(layer.phi).toFixed(2), least.toFixed(2), most.toFixed(2), middle.toFixed(3)];
      if (this.#reference) {
        const former = this.#reference.layers[index];
        cells.push(percent(relativeDifference(layer.phi, former.phi)), percent(relativeDifference(layer.lambda, former.lambda)));
      }
      return make("tr", {}, make("th", { scope: "row", textContent: title(layer.name) }),
        ...cells.map((cell) => make("td", { textContent: String(cell) })));
    });
    byId("table").replaceChildren(
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col", textContent: head })))),
      make("tbody", {}, ...rows));
  }
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

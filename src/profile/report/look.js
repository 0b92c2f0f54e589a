// Elements, and the launch that is looked at, which is the same in all pictures.
import { colour, kind, kinds } from './launches.js';

export const element = (name, content, attributes = {}) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const part of [content].flat()) if (part != null) made.append(part);
  return made;
};
export const draw = (parent, name, attributes, content) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (content != null) made.textContent = content;
  parent.append(made);
  return made;
};
/** An empty picture as wide as its place, with the width; it answers to the keyboard as a whole. */
export const canvas = (place, height, label) => {
  const held = place.contains(document.activeElement);
  const width = Math.max(280, place.clientWidth);
  const attributes = { viewBox: `0 0 ${width} ${height}`, height, role: 'img', tabindex: 0, 'aria-label': label };
  place.replaceChildren();
  const svg = draw(place, 'svg', attributes);
  if (held) svg.focus();
  return [svg, width];
};
export const list = (pairs) => element('dl', pairs.map(([name, value]) => element('div', [element('dt', name), element('dd', String(value))])));
/** The colours of the kinds that occur. */
export const legend = (launches) => Object.keys(kinds).filter((name) => launches.all.some((launch) => kind(launch) === name))
  .map((name) => element('span', [element('i', null, { style: `background:var(--${name})` }), kinds[name]]));

export class Look {
  selected = null;

  /** `root` holds the pictures and tables, `tip` the facts of the launch that is pointed at. */
  constructor(launches, root, tip) {
    [this.launches, this.root, this.tip] = [launches, root, tip];
  }

  show(index, x, y) {
    const launch = this.launches.all[index];
    const title = element('b', [element('i', null, { style: `background:${colour(launch)}` }), `${launch.index}  ${launch.layer}`]);
    this.tip.replaceChildren(title, list(this.launches.facts(launch)));
    this.tip.hidden = false;
    const { width, height } = this.tip.getBoundingClientRect();
    const top = y + 16 + height > innerHeight ? y - height - 12 : y + 16;
    this.tip.style.left = `${Math.max(8, Math.min(x + 16, innerWidth - width - 8))}px`;
    this.tip.style.top = `${Math.max(8, Math.min(top, innerHeight - height - 8))}px`;
  }

  hide() {
    this.tip.hidden = true;
  }

  mark() {
    for (const mark of this.root.querySelectorAll('[data-launch]')) {
      mark.classList.toggle('on', Number(mark.dataset.launch) === this.selected);
    }
  }

  select(index, from) {
    this.selected = index;
    this.mark();
    if (index == null) return this.hide();
    const row = this.root.querySelector(`tr[data-launch="${index}"]`);
    if (row && from !== 'table') {
      const frame = row.closest('.scroll');
      frame.scrollTop = row.offsetTop - frame.clientHeight / 2;
    }
  }

  /** Marks answer to mouse and finger; the picture as a whole answers to the keyboard, in the given order of launches. */
  listen(svg, order) {
    const pointed = (event) => event.target.dataset?.launch;
    svg.addEventListener('pointermove', (event) => pointed(event) == null ? this.hide() : this.show(pointed(event), event.clientX, event.clientY));
    svg.addEventListener('pointerleave', () => this.hide());
    svg.addEventListener('click', (event) => {
      const index = pointed(event);
      if (index == null) return;
      this.select(Number(index));
      this.show(index, event.clientX, event.clientY);
    });
    svg.addEventListener('blur', () => this.hide());
    svg.addEventListener('keydown', (event) => {
      if (event.shiftKey) return;
      const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
      if (event.key === 'Escape') return this.select(null);
      if (!(event.key in steps) || order.length === 0) return;
      event.preventDefault();
      const place = order.indexOf(this.selected);
      const next = order[place < 0 ? 0 : (place + steps[event.key] + order.length) % order.length];
      this.select(next);
      const box = (svg.querySelector(`[data-launch="${next}"]`) ?? svg).getBoundingClientRect();
      this.show(next, box.right, box.top);
    });
    this.mark();
  }
}

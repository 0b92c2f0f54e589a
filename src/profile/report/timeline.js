// The timeline: what the host did and when each launch ran, in the timed run of middle length.
import { colour, kind } from './launches.js';
import { canvas, draw } from './look.js';
import { duration } from './words.js';

const ticks = (from, to, count) => {
  const rough = (to - from) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
};

/** Nanoseconds since the run began. Without a link of the clocks the launches are set in the middle of the wait. */
const hostMoment = ({ run: { host, launches }, link }) => {
  if (link) return (ns) => (link.before + link.after) / 2 + (ns - link.device) - host.begin;
  const begin = Math.min(...launches.map((time) => time[0])), end = Math.max(...launches.map((time) => time[1]));
  return (ns) => (host.submitted + host.end - end + begin) / 2 - host.begin + (ns - begin);
};

export class TimelineView {
  constructor(place, launches, look) {
    [this.place, this.launches, this.look] = [place, launches, look];
    this.timeline = launches.profile.timeline;
    if (!this.timeline) return;
    const { begin, end } = this.timeline.run.host;
    this.length = end - begin;
    this.view = [0, this.length];
    this.moment = hostMoment(this.timeline);
  }

  /** Shows another part of the run, in nanoseconds since it began. */
  go(from, to) {
    if (!this.timeline) return;
    const span = Math.min(this.length * 1.02, Math.max(200, to - from));
    const begin = Math.max(-0.01 * this.length, Math.min(from, this.length * 1.01 - span));
    this.view = [begin, begin + span];
    this.draw();
  }

  all() {
    this.go(0, this.length);
  }

  zoom(factor, at = 0.5) {
    if (!this.timeline) return;
    const [from, to] = this.view;
    const span = (to - from) * factor, centre = from + at * (to - from);
    this.go(centre - at * span, centre + (1 - at) * span);
  }

  draw() {
    if (!this.timeline) {
      this.place.textContent = 'Launches were not timed: the device has no timestamps.';
      return;
    }
    const { launches, view, timeline: { run } } = this;
    const [svg, width] = canvas(this.place, 150, `Timeline of one run with ${launches.all.length} launches. Arrow keys walk through them.`);
    const left = 46, right = 12;
    const x = (ns) => left + (ns - view[0]) / (view[1] - view[0]) * (width - left - right);
    for (const tick of ticks(...view, width / 130)) {
      draw(svg, 'line', { x1: x(tick), x2: x(tick), y1: 18, y2: 132, class: 'grid' });
      draw(svg, 'text', { x: x(tick), y: 12, 'text-anchor': 'middle' }, Math.abs(tick) < 1 ? '0' : duration(tick));
    }
    draw(svg, 'clipPath', { id: 'frame' }).append(draw(svg, 'rect', { x: left, y: 0, width: width - left - right, height: 150 }));
    const frame = draw(svg, 'g', { 'clip-path': 'url(#frame)' });
    draw(svg, 'text', { x: 0, y: 43, class: 'strong' }, 'Host');
    draw(svg, 'text', { x: 0, y: 98, class: 'strong' }, 'Device');
    const marks = run.host;
    for (const [name, from, to] of [['encode', marks.begin, marks.encoded], ['submit', marks.encoded, marks.submitted], ['wait', marks.submitted, marks.end]]) {
      const begin = x(from - marks.begin), end = x(to - marks.begin);
      const step = draw(frame, 'rect', { x: begin, y: 26, width: Math.max(0.5, end - begin), height: 26, rx: 3, fill: 'var(--other)', 'fill-opacity': name === 'wait' ? 0.25 : 0.7 });
      draw(step, 'title', {}, `${name}: ${duration(to - from)}`);
      const visible = [Math.max(begin, left), Math.min(end, width - right)];
      if (visible[1] - visible[0] > 70) {
        draw(frame, 'text', { x: (visible[0] + visible[1]) / 2, y: 43, 'text-anchor': 'middle', class: 'strong' }, `${name} ${duration(to - from)}`);
      }
    }
    run.launches.forEach((time, index) => {
      const [begin, end] = time.map((ns) => x(this.moment(ns)));
      if (end < left || begin > width - right) return;
      const launch = launches.all[index];
      draw(frame, 'rect', { x: begin, y: 64, width: Math.max(0.6, end - begin - 0.4), height: 60, rx: Math.min(2, (end - begin) / 3), fill: colour(launch), class: 'launch', 'data-launch': index });
      if (end - begin > 6.4 * launch.layer.length + 12) draw(frame, 'text', { x: begin + 6, y: 98, class: `on-${kind(launch)} label` }, launch.layer);
    });
    draw(svg, 'line', { x1: left, x2: width - right, y1: 132, y2: 132, class: 'axis' });
    this.look.listen(svg, launches.all.map((launch) => launch.index));
    this.#move(svg, width, left, right);
  }

  /** Wheel and + − zoom; dragging and Shift with the arrow keys move. */
  #move(svg, width, left, right) {
    svg.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.offsetX * width / svg.clientWidth - left) / (width - left - right));
    }, { passive: false });
    svg.addEventListener('pointerdown', (event) => {
      const start = [...this.view], from = event.clientX;
      const drag = (move) => {
        const by = (from - move.clientX) / (width - left - right) * (start[1] - start[0]);
        if (Math.abs(move.clientX - from) > 3) this.go(start[0] + by, start[1] + by);
      };
      // The browser takes a swipe upwards for itself.
      const ends = ['pointerup', 'pointercancel'];
      const stop = () => {
        removeEventListener('pointermove', drag);
        for (const end of ends) removeEventListener(end, stop);
      };
      addEventListener('pointermove', drag);
      for (const end of ends) addEventListener(end, stop);
    });
    svg.addEventListener('keydown', (event) => {
      const [from, to] = this.view, step = (to - from) / 8;
      if (event.key === '+') this.zoom(0.7);
      else if (event.key === '-') this.zoom(1.4);
      else if (event.shiftKey && event.key === 'ArrowLeft') this.go(from - step, to - step);
      else if (event.shiftKey && event.key === 'ArrowRight') this.go(from + step, to + step);
    });
  }
}

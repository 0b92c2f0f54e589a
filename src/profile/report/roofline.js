// The roofline: each launch by its operations per byte and per second, under what the device was measured to do.
import { colour } from './launches.js';
import { canvas, draw } from './look.js';
import { amount, percent } from './words.js';

const powers = (low, high) => {
  const found = [];
  // A roof of a file may be none, or without end.
  if (!(low > 0 && high < Infinity)) return found;
  for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power++) found.push(10 ** power);
  return found;
};

/** The picture in a sentence. */
const told = (launches, shown) => {
  const bound = (limit) => shown.filter((launch) => launches.limit(launch) === limit).length;
  const longest = shown.reduce((most, launch) => launches.median(launch) > launches.median(most) ? launch : most);
  const sides = launches.profile.roof ? ` ${bound('memory')} are bounded by memory, ${bound('arithmetic')} by arithmetic.` : '';
  const share = longest.roof_share ? ` at ${percent(longest.roof_share)} of its roof` : '';
  return `Roofline of ${shown.length} launches.${sides} The longest, ${longest.layer}, takes ${percent(launches.share(longest))} of the time${share}. `
    + 'Arrow keys walk through the launches; the table below holds their figures.';
};

export const drawRoofline = (place, launches, look, height = 440) => {
  const { roof } = launches.profile;
  const shown = launches.all.filter((launch) => launch.flops_rate && launch.intensity > 0 && launch.flops > 0);
  if (shown.length === 0) {
    place.textContent = 'No launch has both operations and a time that the clock resolves.';
    return;
  }
  const [svg, width] = canvas(place, height, told(launches, shown));
  const left = 58, right = 14, top = 18, bottom = 42;
  const rates = roof ? roof.memory.map((of) => Math.max(of.copy, of.read)) : [];
  const fastest = Math.max(...rates), largest = rates.at(-1);
  const flops = roof ? [roof.f32_flops, roof.f16_flops ?? 0] : [];
  const lowX = Math.min(...shown.map((launch) => launch.intensity), roof ? roof.f32_flops / fastest / 4 : 1) / 1.6;
  const highX = Math.max(...shown.map((launch) => launch.intensity), roof ? roof.f32_flops / largest : 1) * 2;
  const lowY = Math.min(...shown.map((launch) => launch.flops_rate)) / 2;
  const highY = Math.max(...shown.map((launch) => launch.flops_rate), ...flops) * 1.8;
  const x = (value) => left + Math.log(value / lowX) / Math.log(highX / lowX) * (width - left - right);
  const y = (value) => height - bottom - Math.log(value / lowY) / Math.log(highY / lowY) * (height - top - bottom);
  for (const value of powers(lowX, highX)) {
    draw(svg, 'line', { x1: x(value), x2: x(value), y1: top, y2: height - bottom, class: 'grid' });
    draw(svg, 'text', { x: x(value), y: height - bottom + 16, 'text-anchor': 'middle' }, value >= 1 ? String(value) : String(Number(value.toPrecision(1))));
  }
  for (const value of powers(lowY, highY)) {
    draw(svg, 'line', { x1: left, x2: width - right, y1: y(value), y2: y(value), class: 'grid' });
    draw(svg, 'text', { x: left - 8, y: y(value) + 4, 'text-anchor': 'end' }, value >= 1e9 ? `${(value / 1e9).toLocaleString('en')} G` : `${value / 1e6} M`);
  }
  draw(svg, 'text', { x: (left + width - right) / 2, y: height - 6, 'text-anchor': 'middle' }, 'operations per byte');
  draw(svg, 'text', { x: left - 44, y: top - 6 }, 'flop/s');
  if (roof) {
    // A roof: a slope of memory, then a flat of arithmetic.
    const line = (bandwidth, rate, style) => {
      const knee = rate / bandwidth, from = Math.max(lowX, lowY / bandwidth);
      draw(svg, 'path', { d: `M${x(from)} ${y(from * bandwidth)}L${x(knee)} ${y(rate)}L${x(highX)} ${y(rate)}`, class: `roof ${style}` });
    };
    line(fastest, roof.f32_flops, '');
    if (roof.f16_flops) line(fastest, roof.f16_flops, 'half');
    const knee = roof.f32_flops / largest;
    if (largest < 0.95 * fastest) {
      const from = Math.max(lowX, lowY / largest);
      draw(svg, 'path', { d: `M${x(from)} ${y(from * largest)}L${x(knee)} ${y(roof.f32_flops)}`, class: 'roof slow' });
    }
  }
  // Large ones first, so that none is hidden.
  for (const launch of [...shown].sort((a, b) => launches.median(b) - launches.median(a))) {
    const r = 3.5 + 26 * Math.sqrt(launches.share(launch) ?? 0);
    draw(svg, 'circle', { cx: x(launch.intensity), cy: y(launch.flops_rate), r, fill: colour(launch), 'fill-opacity': 0.72, class: 'launch', 'data-launch': launch.index });
  }
  // Words last, so that they can be read.
  if (roof) {
    draw(svg, 'text', { x: width - right - 4, y: y(roof.f32_flops) - 6, 'text-anchor': 'end', class: 'strong over' }, `f32 ${amount(roof.f32_flops, 'flop/s')}`);
    if (roof.f16_flops) draw(svg, 'text', { x: width - right - 4, y: y(roof.f16_flops) + (roof.f16_flops < roof.f32_flops ? 14 : -6), 'text-anchor': 'end', class: 'over' }, `f16 ${amount(roof.f16_flops, 'flop/s')}`);
    const slope = Math.atan2(y(roof.f32_flops) - y(roof.f32_flops / 10), x(10) - x(1)) * 180 / Math.PI;
    const along = (bandwidth, offset, text) => {
      const at = Math.max(lowX * 1.4, lowY / bandwidth * 1.4);
      draw(svg, 'text', { transform: `translate(${x(at)} ${y(at * bandwidth) + offset}) rotate(${slope})`, class: 'over' }, text);
    };
    along(fastest, -7, `${amount(fastest, 'B/s')} in cache`);
    if (largest < 0.95 * fastest) along(largest, 15, `${amount(largest, 'B/s')} at ${amount(roof.memory.at(-1).bytes, 'B')}`);
  }
  look.listen(svg, shown.map((launch) => launch.index));
};

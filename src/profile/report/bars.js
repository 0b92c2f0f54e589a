// Where the time goes: launches in groups, each a bar of what it consists of.
import { colour } from './launches.js';
import { canvas, draw, element } from './look.js';
import { percent } from './words.js';

const groupings = {
  part: (launch) => launch.part, kernel: (launch) => `${launch.kernel} ${launch.entry}`,
  block: (launch) => launch.block, layer: (launch) => launch.layer,
};

export const drawBars = (place, launches, look, grouping) => {
  const groups = new Map();
  for (const launch of launches.all) {
    const name = groupings[grouping](launch);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(launch);
  }
  const rows = [...groups].map(([name, members]) => [name, members, launches.together(members)]);
  if (grouping === 'kernel' || grouping === 'part') rows.sort((a, b) => b[2] - a[2]);
  const longest = Math.max(...rows.map((row) => row[2])) || 1;
  const share = (time) => time >= launches.resolution ? ` · ${percent(time / launches.total)}` : '';
  const told = (time) => launches.total > 0 ? `${launches.resolved(time)}${share(time)}` : '–';
  const [svg, width] = canvas(place, rows.length * 21 + 4, `Time by ${grouping}. ${rows.map(([name, , time]) => `${name}: ${told(time)}`).join('; ')}.`);
  const labels = Math.min(220, 0.45 * width, Math.max(...rows.map(([name]) => name.length)) * 6.6 + 10), numbers = 118;
  const most = Math.floor((labels - 8) / 6.4);
  rows.forEach(([name, members, time], row) => {
    const y = row * 21 + 2;
    // The end of a name tells it from its neighbours.
    const short = name.length > most ? `…${name.slice(1 - most)}` : name;
    draw(svg, 'text', { x: labels - 8, y: y + 13, 'text-anchor': 'end', class: 'strong' }, short);
    // Medians do not add up to the median of the sum: what they divide is the bar.
    const medians = members.reduce((sum, launch) => sum + (launches.median(launch) ?? 0), 0) || 1;
    let x = labels;
    for (const launch of members) {
      const wide = (launches.median(launch) ?? 0) / medians * time / longest * (width - labels - numbers);
      draw(svg, 'rect', { x, y, width: Math.max(0.4, wide - 0.6), height: 17, rx: Math.min(2, wide / 3), fill: colour(launch), class: 'launch', 'data-launch': launch.index });
      x += wide;
    }
    draw(svg, 'text', { x: x + 6, y: y + 13 }, told(time));
  });
  look.listen(svg, rows.flatMap(([, members]) => members.map((launch) => launch.index)));
};

/** The buttons that choose a grouping; gives a function that draws the chosen one. */
export const offerBars = (buttons, place, launches, look, first) => {
  let grouping = first;
  const redraw = () => drawBars(place, launches, look, grouping);
  buttons.replaceChildren(...Object.keys(groupings).map((name) => {
    const button = element('button', name, { type: 'button', 'aria-pressed': name === grouping });
    button.onclick = () => {
      grouping = name;
      for (const other of buttons.children) other.setAttribute('aria-pressed', other === button);
      redraw();
    };
    return button;
  }));
  return redraw;
};

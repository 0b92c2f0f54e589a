'use strict';
const profile = JSON.parse(document.getElementById('profile').textContent);
const launches = profile.dispatches;
const timeline = profile.timeline;
const $ = (id) => document.getElementById(id);

// ---- numbers in words -----------------------------------------------------------------------------------------------

const three = (value) => {
  const size = Math.abs(value);
  return size < 9.995 ? value.toFixed(2) : size < 99.95 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
};
const duration = (ns) => {
  const size = Math.abs(ns);
  if (size < 999.5) return `${three(ns)} ns`;
  if (size < 999.5e3) return `${three(ns / 1e3)} µs`;
  return size < 999.5e6 ? `${three(ns / 1e6)} ms` : `${three(ns / 1e9)} s`;
};
const amount = (value, unit) => {
  for (const [size, prefix] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (value >= size) return `${three(value / size)} ${prefix}${unit}`;
  }
  return `${three(value)} ${unit}`;
};
const percent = (share) => share == null ? '–' : `${(100 * share).toFixed(1)} %`;
const resolution = profile.method.resolution ?? 0;
// A time that the clock does not resolve is no number.
const resolved = (ns) => ns == null ? '–' : ns < resolution ? `< ${duration(resolution)}` : duration(ns);
const median = (launch) => launch.time ? launch.time.median : null;
const total = launches.reduce((sum, launch) => sum + (median(launch) ?? 0), 0);
const share = (launch) => launch.time && total > 0 ? launch.time.median / total : null;

// ---- colours: static work in blue and green, dynamic work in warm ones -------------------------------------------------

const kinds = {
  conv_dense: 'dense convolution', conv_depthwise: 'depthwise convolution', conv_pointwise: 'pointwise convolution',
  branch: 'with low-rank branch', linear: 'linear', controller: 'controller: pooling and MLP', assemble: 'assembly of weights',
  latent: 'latent map', pool: 'pooling', top_k: 'top-k', other: 'other',
};
const kind = (launch) => launch.part === 'branch' ? 'branch' : Object.keys(kinds).find((name) => launch.kernel.startsWith(name)) ?? 'other';
const colour = (launch) => `var(--${kind(launch)})`;

// ---- small helpers for elements -----------------------------------------------------------------------------------------

const element = (name, content, attributes = {}) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  for (const part of [content].flat()) if (part != null) made.append(part);
  return made;
};
const draw = (parent, name, attributes, content) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (content != null) made.textContent = content;
  parent.append(made);
  return made;
};
const canvas = (place, height, label) => {
  place.replaceChildren();
  const width = Math.max(320, place.clientWidth);
  const attributes = { viewBox: `0 0 ${width} ${height}`, height, role: 'img', tabindex: 0, 'aria-label': label };
  return [draw(place, 'svg', attributes), width];
};
const list = (pairs) => element('dl', pairs.flatMap(([name, value]) => [element('dt', name), element('dd', String(value))]));

// ---- the launch that is looked at, the same in all pictures ------------------------------------------------------------

let selected = null;
const facts = (launch) => [
  ['kernel', `${launch.kernel} ${launch.entry}`], ['part', launch.part], ['block', launch.block], ['sizes', launch.shape],
  ['workgroups', `${launch.workgroups.join('×')} of ${launch.workgroup_size}`], ['variant', launch.variant],
  ...(launch.time ? [['median', `${resolved(median(launch))}, ${percent(share(launch))} of all`],
    ['p10 to p90', `${resolved(launch.time.p10)} to ${resolved(launch.time.p90)}, ${launch.time.n} samples`]] : []),
  ['operations', amount(launch.flops, 'flop')], ['read', amount(launch.bytes_read, 'B')], ['written', amount(launch.bytes_written, 'B')],
  ['intensity', `${three(launch.intensity)} flop/byte`],
  ...(launch.flops_rate ? [['reached', `${amount(launch.flops_rate, 'flop/s')}, ${amount(launch.bytes_rate, 'B/s')}`]] : []),
  ...(launch.roof_share ? [['of roof', percent(launch.roof_share)]] : []),
  ...(launch.predicted ? [['predicted', duration(launch.predicted)]] : []),
  ['buffers', launch.buffers.map((buffer) => `${buffer.name} ${amount(buffer.bytes, 'B')}`).join(', ')],
];
const show = (launch, x, y) => {
  const tip = $('tip');
  tip.replaceChildren(element('b', `${launch.index}  ${launch.layer}`), list(facts(launch)));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(x + 16, innerWidth - width - 8))}px`;
  tip.style.top = `${Math.max(8, y + 16 + height > innerHeight ? y - height - 12 : y + 16)}px`;
};
const hide = () => { $('tip').hidden = true; };
const select = (index, from) => {
  selected = index;
  for (const mark of document.querySelectorAll('[data-launch]')) {
    mark.classList.toggle('on', Number(mark.dataset.launch) === index);
  }
  if (index == null) return hide();
  const row = document.querySelector(`tr[data-launch="${index}"]`);
  if (row && from !== 'table') {
    const frame = row.closest('.scroll');
    frame.scrollTop = row.offsetTop - frame.clientHeight / 2;
  }
};
// Marks answer to the mouse; the picture as a whole answers to the keyboard.
const listen = (svg, order) => {
  const of = (event) => event.target.dataset?.launch;
  svg.addEventListener('pointermove', (event) => of(event) == null ? hide() : show(launches[of(event)], event.clientX, event.clientY));
  svg.addEventListener('pointerleave', hide);
  svg.addEventListener('click', (event) => { if (of(event) != null) select(Number(of(event))); });
  svg.addEventListener('blur', hide);
  svg.addEventListener('keydown', (event) => {
    if (event.shiftKey) return;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key === 'Escape') return select(null);
    if (!(event.key in steps) || order.length === 0) return;
    event.preventDefault();
    const place = order.indexOf(selected);
    const next = place < 0 ? 0 : (place + steps[event.key] + order.length) % order.length;
    select(order[next]);
    const mark = svg.querySelector(`[data-launch="${order[next]}"]`);
    const box = (mark ?? svg).getBoundingClientRect();
    show(launches[order[next]], box.right, box.top);
  });
};
const inOrder = launches.map((launch) => launch.index);

// ---- head and key figures -----------------------------------------------------------------------------------------------

const { device, method, runs, roof } = profile;
document.title = `Profile of ${profile.network}`;
$('network').textContent = profile.network;
$('device').textContent = `${device.name} · ${device.api}, ${device.kind}${device.driver ? ` · ${device.driver}` : ''} · ${profile.pictures} picture(s) a run`;
if (device.software) {
  $('warning').hidden = false;
  $('warning').textContent = 'A software adapter: the GPU is played by the CPU. These times say nothing of any GPU.';
}
const figure = (value, name) => $('figures').append(element('div', [element('b', value), element('span', name)]));
figure(duration(runs.plain.median), `a run, ${profile.pictures} picture(s)`);
if (runs.parts) {
  figure(duration(runs.parts.launches.median), `in ${launches.length} launches`);
  figure(`${duration(runs.parts.bubble.median)}`, `bubble: ${percent(runs.parts.bubble.median / runs.timed.median)} of a timed run`);
}
figure(`${runs.timed.median >= runs.plain.median ? '+' : ''}${percent(runs.timed.median / runs.plain.median - 1)}`, 'cost of profiling');
figure(duration(runs.first), 'the first run');
figure(duration(profile.compilations.reduce((sum, one) => sum + one.nanoseconds, 0)), `${profile.compilations.length} pipelines made`);
if (total > 0) {
  const dynamic = launches.filter((launch) => launch.part !== 'static').reduce((sum, launch) => sum + median(launch), 0);
  figure(percent(dynamic / total), 'in dynamic work, with branches');
}

// ---- timeline ------------------------------------------------------------------------------------------------------------

const hostSteps = () => {
  const marks = timeline.run.host;
  return [['encode', marks.begin, marks.encoded], ['submit', marks.encoded, marks.submitted],
    ['wait', marks.submitted, marks.end]];
};
// Nanoseconds since the run began. Without a link of the clocks the launches are set in the middle of the wait.
const deviceMoment = (() => {
  if (!timeline) return null;
  const { host, launches: times } = timeline.run;
  const link = timeline.link;
  if (link) return (ns) => (link.before + link.after) / 2 + (ns - link.device) - host.begin;
  const begin = Math.min(...times.map((time) => time[0])), end = Math.max(...times.map((time) => time[1]));
  return (ns) => (host.submitted + host.end - end + begin) / 2 - host.begin + (ns - begin);
})();
const length = timeline ? timeline.run.host.end - timeline.run.host.begin : 1;
let view = [0, length];
const ticks = (from, to, count) => {
  const rough = (to - from) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
};
const drawTimeline = () => {
  if (!timeline) {
    $('timeline').textContent = 'Launches were not timed: the device has no timestamps.';
    return;
  }
  const focused = document.activeElement?.closest?.('#timeline');
  const [svg, width] = canvas($('timeline'), 150, `Timeline of one run with ${launches.length} launches`);
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
  for (const [name, from, to] of hostSteps()) {
    const begin = x(from - timeline.run.host.begin), end = x(to - timeline.run.host.begin);
    const step = draw(frame, 'rect', { x: begin, y: 26, width: Math.max(0.5, end - begin), height: 26, rx: 3, fill: 'var(--other)', 'fill-opacity': name === 'wait' ? 0.25 : 0.7 });
    draw(step, 'title', {}, `${name}: ${duration(to - from)}`);
    const visible = [Math.max(begin, left), Math.min(end, width - right)];
    if (visible[1] - visible[0] > 70) {
      draw(frame, 'text', { x: (visible[0] + visible[1]) / 2, y: 43, 'text-anchor': 'middle', class: 'strong' }, `${name} ${duration(to - from)}`);
    }
  }
  timeline.run.launches.forEach((time, index) => {
    const [begin, end] = time.map((ns) => x(deviceMoment(ns)));
    if (end < left || begin > width - right) return;
    draw(frame, 'rect', { x: begin, y: 64, width: Math.max(0.6, end - begin - 0.4), height: 60, rx: Math.min(2, (end - begin) / 3), fill: colour(launches[index]), class: 'launch', 'data-launch': index });
    if (end - begin > 90) {
      const label = draw(frame, 'text', { x: begin + 6, y: 98, style: 'fill:#fff;pointer-events:none' }, launches[index].layer);
      if (['latent', 'conv_pointwise', 'assemble'].includes(kind(launches[index])) || document.documentElement.classList.contains('dark')) label.style.fill = '#10151a';
    }
  });
  draw(svg, 'line', { x1: left, x2: width - right, y1: 132, y2: 132, class: 'axis' });
  listen(svg, inOrder);
  svg.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, (event.offsetX * width / svg.clientWidth - left) / (width - left - right));
  }, { passive: false });
  svg.addEventListener('pointerdown', (event) => {
    const start = [...view], from = event.clientX;
    const drag = (move) => {
      const by = (from - move.clientX) / (width - left - right) * (start[1] - start[0]);
      if (Math.abs(move.clientX - from) > 3) look(start[0] + by, start[1] + by);
    };
    const stop = () => { removeEventListener('pointermove', drag); removeEventListener('pointerup', stop); };
    addEventListener('pointermove', drag);
    addEventListener('pointerup', stop);
  });
  svg.addEventListener('keydown', (event) => {
    const step = (view[1] - view[0]) / 8;
    if (event.key === '+') zoom(0.7, 0.5);
    else if (event.key === '-') zoom(1.4, 0.5);
    else if (event.shiftKey && event.key === 'ArrowLeft') look(view[0] - step, view[1] - step);
    else if (event.shiftKey && event.key === 'ArrowRight') look(view[0] + step, view[1] + step);
  });
  if (focused) svg.focus();
  if (selected != null) svg.querySelector(`[data-launch="${selected}"]`)?.classList.add('on');
};
const look = (from, to) => {
  const span = Math.min(length * 1.02, Math.max(200, to - from));
  const begin = Math.max(-0.01 * length, Math.min(from, length * 1.01 - span));
  view = [begin, begin + span];
  drawTimeline();
};
const zoom = (factor, at) => {
  const span = (view[1] - view[0]) * factor, centre = view[0] + at * (view[1] - view[0]);
  look(centre - at * span, centre + (1 - at) * span);
};
$('zoom-in').onclick = () => zoom(0.6, 0.5);
$('zoom-out').onclick = () => zoom(1.7, 0.5);
$('zoom-all').onclick = () => look(0, length);
for (const name of Object.keys(kinds).filter((name) => launches.some((launch) => kind(launch) === name))) {
  $('legend').append(element('span', [element('i', null, { style: `background:var(--${name})` }), kinds[name]]));
}

// ---- roofline --------------------------------------------------------------------------------------------------------------

const drawRoofline = () => {
  const shown = launches.filter((launch) => launch.flops_rate && launch.intensity > 0 && launch.flops > 0);
  if (shown.length === 0) {
    $('roofline').textContent = 'No launch has both operations and a time that the clock resolves.';
    return;
  }
  const height = 440;
  const [svg, width] = canvas($('roofline'), height, `Roofline of ${shown.length} launches`);
  const left = 58, right = 14, top = 14, bottom = 42;
  const rates = roof ? roof.memory.map((of) => Math.max(of.copy, of.read)) : [];
  const fastest = Math.max(...rates), largest = rates.at(-1);
  const flops = roof ? [roof.f32_flops, roof.f16_flops ?? 0] : [];
  const lowX = Math.min(...shown.map((launch) => launch.intensity), roof ? roof.f32_flops / fastest / 4 : 1) / 1.6;
  const highX = Math.max(...shown.map((launch) => launch.intensity), roof ? roof.f32_flops / largest : 1) * 2;
  const lowY = Math.min(...shown.map((launch) => launch.flops_rate)) / 2, highY = Math.max(...shown.map((launch) => launch.flops_rate), ...flops) * 1.8;
  const x = (value) => left + Math.log(value / lowX) / Math.log(highX / lowX) * (width - left - right);
  const y = (value) => height - bottom - Math.log(value / lowY) / Math.log(highY / lowY) * (height - top - bottom);
  const powers = (low, high) => {
    const found = [];
    for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power++) found.push(10 ** power);
    return found;
  };
  for (const value of powers(lowX, highX)) {
    draw(svg, 'line', { x1: x(value), x2: x(value), y1: top, y2: height - bottom, class: 'grid' });
    draw(svg, 'text', { x: x(value), y: height - bottom + 16, 'text-anchor': 'middle' }, value >= 1 ? String(value) : String(Number(value.toPrecision(1))));
  }
  for (const value of powers(lowY, highY)) {
    draw(svg, 'line', { x1: left, x2: width - right, y1: y(value), y2: y(value), class: 'grid' });
    draw(svg, 'text', { x: left - 8, y: y(value) + 4, 'text-anchor': 'end' }, value >= 1e9 ? `${(value / 1e9).toLocaleString('en')} G` : `${value / 1e6} M`);
  }
  draw(svg, 'text', { x: (left + width - right) / 2, y: height - 6, 'text-anchor': 'middle' }, 'operations per byte');
  draw(svg, 'text', { x: left - 44, y: top - 3 }, 'flop/s');
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
    draw(svg, 'text', { x: width - right - 4, y: y(roof.f32_flops) - 6, 'text-anchor': 'end', class: 'strong' }, `f32 ${amount(roof.f32_flops, 'flop/s')}`);
    if (roof.f16_flops) draw(svg, 'text', { x: width - right - 4, y: y(roof.f16_flops) + (roof.f16_flops < roof.f32_flops ? 14 : -6), 'text-anchor': 'end' }, `f16 ${amount(roof.f16_flops, 'flop/s')}`);
    const slope = Math.atan2(y(roof.f32_flops) - y(roof.f32_flops / 10), x(10) - x(1)) * 180 / Math.PI;
    const along = (bandwidth, offset, text) => {
      const at = Math.max(lowX * 1.4, lowY / bandwidth * 1.4);
      draw(svg, 'text', { transform: `translate(${x(at)} ${y(at * bandwidth) + offset}) rotate(${slope})` }, text);
    };
    along(fastest, -7, `${amount(fastest, 'B/s')} in cache`);
    if (largest < 0.95 * fastest) along(largest, 15, `${amount(largest, 'B/s')} at ${amount(roof.memory.at(-1).bytes, 'B')}`);
  }
  // Large ones first, so that none is hidden.
  for (const launch of [...shown].sort((a, b) => median(b) - median(a))) {
    const r = 3.5 + 26 * Math.sqrt(share(launch) ?? 0);
    draw(svg, 'circle', { cx: x(launch.intensity), cy: y(launch.flops_rate), r, fill: colour(launch), 'fill-opacity': 0.72, class: 'launch', 'data-launch': launch.index });
  }
  listen(svg, shown.map((launch) => launch.index));
};

// ---- bars: launches in groups, each a stack of what it consists of ---------------------------------------------------------------

const groupings = {
  layer: (launch) => launch.layer, block: (launch) => launch.block,
  kernel: (launch) => `${launch.kernel} ${launch.entry}`, part: (launch) => launch.part,
};
let grouping = 'layer';
const drawBars = () => {
  const groups = new Map();
  for (const launch of launches) {
    const name = groupings[grouping](launch);
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(launch);
  }
  const sum = (members) => members.reduce((time, launch) => time + (median(launch) ?? 0), 0);
  const rows = [...groups].map(([name, members]) => [name, members, sum(members)]);
  if (grouping === 'kernel' || grouping === 'part') rows.sort((a, b) => b[2] - a[2]);
  const longest = Math.max(...rows.map((row) => row[2])) || 1;
  const [svg, width] = canvas($('bars'), rows.length * 21 + 4, `Time by ${grouping}`);
  const labels = Math.min(220, Math.max(...rows.map(([name]) => name.length)) * 6.6 + 10), numbers = 118;
  rows.forEach(([name, members, time], row) => {
    const y = row * 21 + 2;
    draw(svg, 'text', { x: labels - 8, y: y + 13, 'text-anchor': 'end', class: 'strong' }, name);
    let x = labels;
    for (const launch of members) {
      const wide = (median(launch) ?? 0) / longest * (width - labels - numbers);
      draw(svg, 'rect', { x, y, width: Math.max(0.4, wide - 0.6), height: 17, rx: Math.min(2, wide / 3), fill: colour(launch), class: 'launch', 'data-launch': launch.index });
      x += wide;
    }
    const text = total > 0 ? `${resolved(time)} · ${percent(time / total)}` : '–';
    draw(svg, 'text', { x: x + 6, y: y + 13 }, text);
  });
  listen(svg, rows.flatMap(([, members]) => members.map((launch) => launch.index)));
};
for (const name of Object.keys(groupings)) {
  const button = element('button', name, { type: 'button', 'aria-pressed': name === grouping });
  button.onclick = () => {
    grouping = name;
    for (const other of $('views').children) other.setAttribute('aria-pressed', other === button);
    drawBars();
  };
  $('views').append(button);
}

// ---- tables ------------------------------------------------------------------------------------------------------------------------

// Columns: title, value to sort by, text; numbers stand to the right.
const makeTable = (table, columns, rows, build) => {
  let sort = [0, 1], filter = '';
  const [head, body] = [table.tHead, table.tBodies[0]];
  const fill = () => {
    const [column, way] = sort, value = columns[column][1];
    const shown = rows.filter((row) => columns.some((c) => String(c[2](row)).toLowerCase().includes(filter)));
    shown.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x == null || y == null) return (x == null) - (y == null);
      return way * (typeof x === 'string' ? x.localeCompare(y, 'en', { numeric: true }) : x - y);
    });
    body.replaceChildren(...shown.map((row) => build(row, columns.map(([, value, text], index) => {
      const numeric = typeof value(row) !== 'string';
      return element('td', index === 1 && row.kernel ? [element('i', null, { style: `background:${colour(row)}` }), text(row)] : text(row), numeric ? { class: 'number' } : {});
    }))));
    [...head.rows[0].cells].forEach((cell, index) => {
      if (index === column) cell.setAttribute('aria-sort', way > 0 ? 'ascending' : 'descending');
      else cell.removeAttribute('aria-sort');
    });
  };
  head.replaceChildren(element('tr', columns.map(([title, value], index) => {
    const button = element('button', title, { type: 'button' });
    button.onclick = () => {
      // What is a number is asked for the largest first.
      const first = typeof value(rows[0] ?? {}) === 'string' || index === 0 ? 1 : -1;
      sort = [index, sort[0] === index ? -sort[1] : first];
      fill();
    };
    return element('th', button, { scope: 'col', class: typeof value(rows[0] ?? {}) === 'string' ? '' : 'number' });
  })));
  fill();
  return (text) => { filter = text.toLowerCase(); fill(); };
};
const field = (title, value, text = value) => [title, value, text];
const filterLaunches = makeTable($('table'), [
  field('#', (l) => l.index), field('layer', (l) => l.layer), field('kernel', (l) => `${l.kernel} ${l.entry}`), field('part', (l) => l.part), field('sizes', (l) => l.shape),
  field('workgroups', (l) => l.workgroups.reduce((a, b) => a * b), (l) => l.workgroups.join('×')), field('size', (l) => l.workgroup_size),
  field('median', median, (l) => resolved(median(l))), field('p10', (l) => l.time?.p10, (l) => resolved(l.time?.p10)), field('p90', (l) => l.time?.p90, (l) => resolved(l.time?.p90)),
  field('of all', share, (l) => percent(share(l))), field('operations', (l) => l.flops, (l) => amount(l.flops, '')), field('bytes', (l) => l.bytes_read + l.bytes_written, (l) => amount(l.bytes_read + l.bytes_written, 'B')),
  field('flop/byte', (l) => l.intensity, (l) => three(l.intensity)), field('GFLOP/s', (l) => l.flops_rate, (l) => l.flops_rate == null ? '–' : three(l.flops_rate / 1e9)),
  field('GB/s', (l) => l.bytes_rate, (l) => l.bytes_rate == null ? '–' : three(l.bytes_rate / 1e9)), field('of roof', (l) => l.roof_share, (l) => percent(l.roof_share)),
  field('predicted', (l) => l.predicted, (l) => l.predicted == null ? '–' : duration(l.predicted)),
], launches, (launch, cells) => {
  const row = element('tr', cells, { tabindex: 0, 'data-launch': launch.index });
  const look = () => { select(launch.index, 'table'); const box = row.getBoundingClientRect(); show(launch, Math.min(box.right, innerWidth) - 520, box.bottom - 10); };
  row.onclick = look;
  row.onkeydown = (event) => {
    if (event.key === 'Enter') look();
    else if (event.key === 'ArrowDown') { row.nextElementSibling?.focus(); event.preventDefault(); }
    else if (event.key === 'ArrowUp') { row.previousElementSibling?.focus(); event.preventDefault(); }
    else if (event.key === 'Escape') select(null);
  };
  row.onblur = hide;
  row.onmouseleave = hide;
  return row;
});
$('filter').oninput = (event) => filterLaunches(event.target.value);
makeTable($('pipelines'), [field('kernel, entry point, overrides', (one) => one.pipeline), field('made in', (one) => one.nanoseconds, (one) => duration(one.nanoseconds))],
  profile.compilations, (_, cells) => element('tr', cells));

// ---- roof and method in words --------------------------------------------------------------------------------------------------------

$('roof').append(roof ? list([
  ['f32 multiply-adds', amount(roof.f32_flops, 'flop/s')],
  ['f16 multiply-adds', roof.f16_flops ? amount(roof.f16_flops, 'flop/s') : 'the device has no half floats'],
  ...roof.memory.map((of) => [`memory, ${amount(of.bytes, 'B')}`, `${amount(of.copy, 'B/s')} copied, ${amount(of.read, 'B/s')} read`]),
  ...(roof.workgroup_flops ? [['one workgroup alone', amount(roof.workgroup_flops, 'flop/s')]] : []),
  ['an empty launch', duration(roof.empty_dispatch)], ['an empty submit', duration(roof.empty_submit)],
]) : element('p', 'Not measured.'));
const ways = {
  inside_pass: 'device timestamps around each launch, all launches in one pass as in a plain run',
  pass_boundaries: 'device timestamps at pass boundaries, one pass for each launch',
  host_clock: 'the host’s clock around each twin', whole_runs: 'whole runs only: the device has no timestamps',
};
const spread = (samples) => `${duration(samples.median)} (p10 ${duration(samples.p10)}, p90 ${duration(samples.p90)}, ${samples.n} samples)`;
const words = [
  ['written by', profile.program], ['timing', ways[method.timing] ?? method.timing],
  ['clock', `period ${method.period} ns, resolution ${method.resolution == null ? 'unknown' : duration(method.resolution)}`],
  ['repeats', `${method.repeats} plain and as many timed runs in turns, after ${method.warm_up} of each to warm the caches; ${method.dropped} dropped`],
  ['plain run', spread(runs.plain)], ['timed run', spread(runs.timed)],
  ...Object.entries(runs.parts ?? {}).map(([name, samples]) => [`– ${name}`, spread(samples)]),
  ['share of roof', 'the time at the measured roof by the time taken; the roof is the lower of f32 multiply-adds and of memory, copied or read, of at least that size'],
  ['predicted', 'an empty launch, and at the roof the operations, as far as the invocations fill the device, or the bytes, whichever take longer'],
];
if (timeline?.link) words.push(['clocks', `linked by an empty submit right after the run, to ± ${duration((timeline.link.after - timeline.link.before) / 2)}`]);
$('method').replaceWith(Object.assign(list(words), { id: 'method' }));

// ---- theme, size ------------------------------------------------------------------------------------------------------------------------

const root = document.documentElement;
root.classList.toggle('dark', matchMedia('(prefers-color-scheme: dark)').matches);
const drawAll = () => { drawTimeline(); drawRoofline(); drawBars(); };
$('theme').onclick = () => { root.classList.toggle('dark'); drawAll(); };
addEventListener('resize', drawAll);
addEventListener('keydown', (event) => { if (event.key === 'Escape') hide(); });
drawAll();

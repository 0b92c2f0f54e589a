// Numbers in words. Times are in nanoseconds, rates per second.

export const three = (value) => {
  const size = Math.abs(value);
  return size < 9.995 ? value.toFixed(2) : size < 99.95 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
};
export const duration = (ns) => {
  const size = Math.abs(ns);
  if (size < 999.5) return `${three(ns)} ns`;
  if (size < 999.5e3) return `${three(ns / 1e3)} µs`;
  return size < 999.5e6 ? `${three(ns / 1e6)} ms` : `${three(ns / 1e9)} s`;
};
export const amount = (value, unit) => {
  for (const [size, prefix] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (value >= size) return `${three(value / size)} ${prefix}${unit}`;
  }
  return `${three(value)} ${unit}`;
};
export const percent = (share) => share == null ? '–' : `${(100 * share).toFixed(1)} %`;
const spread = (samples) => `${duration(samples.median)} (p10 ${duration(samples.p10)}, p90 ${duration(samples.p90)}, ${samples.n} samples)`;

const ways = {
  inside_pass: 'device timestamps around each launch, all launches in one pass as in a plain run',
  pass_boundaries: 'device timestamps at pass boundaries, one pass for each launch',
  host_clock: 'the host’s clock around each twin', whole_runs: 'whole runs alone, as the device has no timestamps',
};

const pictures = (count) => count === 1 ? 'one picture' : `${count} pictures`;

/** The figures that come first, as pairs of value and name. */
export const keyFigures = ({ profile, all, total, together }) => {
  const { runs, compilations, method } = profile;
  const figures = [[duration(runs.plain.median), `a run of ${pictures(profile.pictures)}`]];
  if (runs.parts) {
    figures.push([duration(runs.parts.launches.median), `in ${all.length} launches`],
      [duration(runs.parts.bubble.median), `bubble: ${percent(runs.parts.bubble.median / runs.timed.median)} of a timed run`]);
  }
  figures.push([`${runs.timed.median >= runs.plain.median ? '+' : ''}${percent(runs.timed.median / runs.plain.median - 1)}`, 'cost of profiling']);
  if (method.resolution != null) figures.push([duration(method.resolution), 'resolution of the clock']);
  figures.push([duration(runs.first), 'the first run']);
  if (compilations.length > 0) {
    figures.push([duration(compilations.reduce((sum, one) => sum + one.nanoseconds, 0)), `${compilations.length} pipelines made`]);
  }
  if (total > 0) {
    const dynamic = together(all.filter((launch) => launch.part !== 'static'));
    figures.push([percent(dynamic / total), 'in dynamic work, with branches']);
  }
  return figures;
};

/** What was measured on, as one line. */
export const deviceLine = ({ device, pictures: count }) =>
  [device.name, `${device.api}, ${device.kind}`, device.driver, `${pictures(count)} a run`].filter(Boolean).join(' · ');

/** How far the times can be trusted, in a sentence or two. */
export const methodLine = ({ profile: { method }, all, resolution, median }) => {
  const hidden = all.filter((launch) => launch.time && median(launch) < resolution).length;
  const timing = ways[method.timing] ?? method.timing;
  const below = hidden > 0 ? ` ${hidden} of ${all.length} launches are shorter than the clock's step of ${duration(resolution)}.` : '';
  return `Timed by ${timing}; ${method.repeats} plain and ${method.repeats} timed runs in turns, after ${method.warm_up} of each.${below}`;
};

/** What must be known before any time is read; nothing on a GPU. */
export const warning = ({ device }) => device.software
  ? 'A software adapter: the GPU is played by the CPU. These times say nothing of any GPU.' : '';

/** What the device does at best, as pairs of name and value. */
export const roofWords = (roof) => [
  ['f32 multiply-adds', amount(roof.f32_flops, 'flop/s')],
  ['f16 multiply-adds', roof.f16_flops ? amount(roof.f16_flops, 'flop/s') : 'the device has no half floats'],
  ...roof.memory.map((of) => [`memory, ${amount(of.bytes, 'B')}`, `${amount(of.copy, 'B/s')} copied, ${amount(of.read, 'B/s')} read`]),
  ...(roof.workgroup_flops ? [['one workgroup alone', amount(roof.workgroup_flops, 'flop/s')]] : []),
  ['an empty launch', duration(roof.empty_dispatch)], ['an empty submit', duration(roof.empty_submit)],
];

/** How it was measured, as pairs of name and value. */
export const methodWords = ({ profile }) => {
  const { method, runs, timeline } = profile;
  const words = [
    ['written by', profile.program], ['timing', ways[method.timing] ?? method.timing],
    ['clock', `period ${method.period} ns, resolution ${method.resolution == null ? 'unknown' : duration(method.resolution)}`],
    ['repeats', `${method.repeats} plain and as many timed runs in turns, after ${method.warm_up} of each to warm the caches; ${method.dropped} dropped`],
    ['plain run', spread(runs.plain)], ['timed run', spread(runs.timed)],
    ...Object.entries(runs.parts ?? {}).map(([name, samples]) => [`– ${name}`, spread(samples)]),
    ['share of roof', 'the time at the measured roof by the time taken; the roof is the lower of f32 multiply-adds and of memory, copied or read, of at least that size'],
    ['predicted', 'an empty launch, and at the roof the operations, as far as the invocations fill the device, or the bytes, whichever take longer'],
  ];
  // On the CPU there is one clock.
  if (timeline?.link && method.timing !== 'host_clock') words.push(['clocks', `linked by the run’s own begin and end and an empty submit right after it, to ± ${duration((timeline.link.after - timeline.link.before) / 2)}`]);
  return words;
};

// Runs the engines of a browser on the same networks in the same Chromium, one after another in turns, and prints how they compare.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';

import { serve, sizeOf } from './serve.mjs';

const HELP = `Usage: node bench.mjs [options]
  --engines LIST    of dynaconv,litert,onnxruntime,onnxruntime-capture,tensorflow  [default: all]
  --networks LIST   of mobilenet-v2,mobilenet-v2-dcd                               [default: both]
  --rounds N        turns that every engine gets on every network                  [default: 3]
  --runs N          timed runs in a turn, after one that is not timed              [default: 2]
  --first N         fresh browsers in which the way to the first answer is timed   [default: 1]
  --json FILE       also write everything as JSON (- for standard output instead of the table)
  --flags LIST      further flags for Chromium, such as --use-angle=vulkan
  --made FOLDER     where the models are                                           [default: ../made]
  --help`;

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ENGINES = ['dynaconv', 'litert', 'onnxruntime', 'onnxruntime-capture', 'tensorflow'];
const NETWORKS = ['mobilenet-v2', 'mobilenet-v2-dcd'];
const PACKAGES = { litert: '@litertjs/core', onnxruntime: 'onnxruntime-web', 'onnxruntime-capture': 'onnxruntime-web', tensorflow: '@tensorflow/tfjs-backend-webgpu' };
const FLAGS = [
  '--no-sandbox', '--enable-unsafe-webgpu', '--enable-webgpu-developer-features', '--no-first-run', '--disable-sync',
  '--disable-background-networking', '--disable-component-update', '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
];
const TOLERANCE = 1e-3; // of the largest score; f32 engines differ by some 1e-5
const PATIENCE = 600_000; // milliseconds for one step: software adapters are slow

const say = (line) => process.stderr.write(`${line}\n`);

function options() {
  const string = (fallback) => ({ type: 'string', default: fallback });
  const { values } = parseArgs({
    options: {
      engines: string(ENGINES.join()), networks: string(NETWORKS.join()), rounds: string('3'), runs: string('2'), first: string('1'),
      json: { type: 'string' }, flags: string(''), made: string(path.join(HERE, '../made')), help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const list = (text, known) => text.split(',').map((each) => {
    if (!known.includes(each)) throw new Error(`'${each}' is none of ${known.join(', ')}`);
    return each;
  });
  const count = (name, least) => {
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < least) throw new Error(`--${name} ${values[name]}: expected a whole number from ${least}`);
    return number;
  };
  return {
    engines: list(values.engines, ENGINES), networks: list(values.networks, NETWORKS), rounds: count('rounds', 1), runs: count('runs', 1),
    first: count('first', 1), json: values.json, flags: values.flags.split(',').filter(Boolean), made: values.made,
  };
}

/** The version of what an engine is made of; dynaconv's is that of its package. */
function versionOf(engine) {
  const folder = engine === 'dynaconv' ? path.join(HERE, '../../web/pkg') : path.join(HERE, 'node_modules', PACKAGES[engine]);
  return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'))).version;
}

/** Bundles an engine with its adapter, as a web developer would. */
async function bundle(engine, folder) {
  await build({
    entryPoints: [path.join(HERE, 'engines', `${engine}.js`)], outfile: path.join(folder, `${engine}.js`),
    bundle: true, minify: true, format: 'esm', target: 'esnext', external: ['/pkg/*', 'module', 'worker_threads', 'fs', 'path', 'url'],
    logLevel: 'silent',
  });
}

const launch = ({ flags }) => chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, args: [...FLAGS, ...flags],
});

/** A page with one engine in it. */
async function open(browser, origin, engine, network) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (error) => say(`  ${engine}: ${error.message}`));
  await page.goto(`${origin}/page.html?engine=${engine}&network=${network}`);
  await page.waitForSelector('body[data-ready]', { state: 'attached' });
  return page;
}

/** The way from nothing to the first answer, which must be right. */
async function begin(page, engine, network) {
  const first = await within(page.evaluate(() => window.begin()), `${engine} on ${network}`);
  if (!(first.difference <= TOLERANCE)) {
    throw new Error(`a wrong answer: it differs from PyTorch's by ${first.difference} of the largest score`);
  }
  return first;
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what}: no answer in ${PATIENCE / 1000} s`)), PATIENCE); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Sizes of what was fetched until the first answer: the model, and all the rest. */
function bytesOf(files, made) {
  const sum = { code: 0, code_gzip: 0, model: 0, model_gzip: 0 };
  for (const file of files) {
    const { plain, gzip } = sizeOf(file);
    const part = file.startsWith(path.resolve(made, 'models')) ? 'model' : 'code';
    sum[part] += plain;
    sum[`${part}_gzip`] += gzip;
  }
  return sum;
}

function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const low = Math.floor(place);
  return sorted[low] + (sorted[Math.ceil(place)] - sorted[low]) * (place - low);
}

const reason = (error) => String(error.message ?? error).split('\n')[0].replace(/^page\.evaluate: /, '');

async function main() {
  const chosen = options();
  const bundles = path.join(chosen.made, 'bundles');
  const server = await serve({
    '/': HERE, '/bundle/': bundles, '/models/': path.resolve(chosen.made, 'models'), '/pkg/': path.join(HERE, '../../web/pkg'),
    '/onnxruntime/': path.join(HERE, 'node_modules/onnxruntime-web/dist'), '/litert/': path.join(HERE, 'node_modules/@litertjs/core/wasm'),
  });
  try {
    await measure(chosen, server, bundles);
  } finally {
    server.close();
  }
}

async function measure(chosen, server, bundles) {
  const started = { date: new Date().toISOString(), load_before: os.loadavg() };
  const versions = {};
  const failures = [];
  const fail = (engine, network, error) => {
    failures.push({ engine, network, reason: reason(error) });
    say(`  ${engine} on ${network} fails: ${reason(error)}`);
  };
  for (const engine of chosen.engines) {
    try {
      versions[engine] = versionOf(engine);
      await bundle(engine, bundles);
    } catch (error) {
      chosen.networks.forEach((network) => fail(engine, network, error));
    }
  }

  // The results by engine and network, as long as they do not fail.
  let results = chosen.networks.flatMap((network) => chosen.engines.map((engine) => ({ network, engine, first: [], times_ms: [] })));
  const each = async (action) => {
    for (const result of results) {
      if (failures.some(({ engine, network }) => engine === result.engine && network === result.network)) continue;
      try {
        await action(result);
      } catch (error) {
        fail(result.engine, result.network, error);
      }
    }
    results = results.filter((result) => !failures.some(({ engine, network }) => engine === result.engine && network === result.network));
  };

  // First answers: each in a fresh browser, whose caches are empty.
  let adapter;
  let browserVersion;
  for (let turn = 0; turn < chosen.first; turn++) {
    await each(async (result) => {
      const browser = await launch(chosen);
      try {
        const page = await open(browser, server.origin, result.engine, result.network);
        browserVersion = browser.version();
        adapter ??= await page.evaluate(() => window.adapter());
        if (!adapter) throw new Error('this browser has no WebGPU adapter');
        const first = await begin(page, result.engine, result.network);
        result.first.push(first);
        result.bytes = bytesOf(server.fetched, chosen.made);
        say(`first answer of ${result.engine} on ${result.network}: ${first.total_ms.toFixed(0)} ms, right to ${first.difference.toExponential(1)}`);
      } finally {
        await browser.close();
      }
    });
  }

  // Steady running: all in one browser, each in its own page, in turns.
  const browser = await launch(chosen);
  try {
    await each(async (result) => {
      result.page = await open(browser, server.origin, result.engine, result.network);
      await begin(result.page, result.engine, result.network);
    });
    for (let round = 0; round < chosen.rounds; round++) {
      await each(async (result) => {
        const turn = result.page.evaluate((runs) => window.repeat(runs), 1 + chosen.runs);
        const times = await within(turn, `${result.engine} on ${result.network}`);
        result.times_ms.push(...times.slice(1));
        // Told at once, so that a run that is broken off is not lost.
        say(`${result.engine} on ${result.network}: ${times.slice(1).map((time) => time.toFixed(1)).join(', ')} ms`);
      });
      if (results.length === 0) break;
      // Nobody is always the first, or after the same one.
      if (round % 2) results.push(results.shift());
      results.reverse();
      say(`round ${round + 1} of ${chosen.rounds}`);
    }
    await each((result) => result.page.evaluate(() => window.finish()));
  } finally {
    await browser.close();
  }

  const [cpu] = os.cpus();
  const report = {
    ...started, load_after: os.loadavg(), cpu: cpu.model, cores: os.cpus().length, browser: `Chromium ${browserVersion}`, adapter, versions,
    results: summarise(results, chosen), failures,
  };
  if (chosen.json === '-') console.log(JSON.stringify(report, null, 1));
  else {
    print(report);
    if (chosen.json) {
      fs.writeFileSync(`${chosen.json}.new`, `${JSON.stringify(report, null, 1)}\n`);
      fs.renameSync(`${chosen.json}.new`, chosen.json);
    }
  }
  // Those who only read the exit code shall know that an engine is missing.
  process.exitCode = failures.length > 0 ? 1 : 0;
}

function summarise(results, { networks, engines }) {
  const rank = ({ network, engine }) => networks.indexOf(network) * engines.length + engines.indexOf(engine);
  const median = (values) => quantile(values, 0.5);
  const summary = results.sort((a, b) => rank(a) - rank(b)).map(({ network, engine, first, bytes, times_ms }) => {
    const part = (name) => median(first.map((each) => each[name]));
    return {
      network, engine, median_ms: median(times_ms), p10_ms: quantile(times_ms, 0.1), p90_ms: quantile(times_ms, 0.9),
      first_answer: { code_ms: part('code_ms'), load_ms: part('load_ms'), run_ms: part('run_ms'), total_ms: part('total_ms') },
      bytes, difference: Math.max(...first.map((each) => each.difference)), times_ms,
    };
  });
  for (const result of summary) {
    const same = (engine, network) => summary.find((each) => each.engine === engine && each.network === network);
    const ours = same('dynaconv', result.network);
    const fixed = same(result.engine, 'mobilenet-v2');
    result.ratio_to_dynaconv = ours ? result.median_ms / ours.median_ms : null;
    result.ratio_to_static = fixed ? result.median_ms / fixed.median_ms : null;
  }
  return summary;
}

function print(report) {
  const { adapter } = report;
  const kind = adapter?.software ? 'a software adapter: it computes on the CPU' : 'a GPU';
  console.log(`${report.date}  ${report.browser}  ${report.cpu}, ${report.cores} cores`);
  console.log(`adapter: ${[adapter?.vendor, adapter?.architecture, adapter?.description].filter(Boolean).join(' ')} (${kind})`);
  const load = [report.load_before[0], report.load_after[0]];
  console.log(`load of the machine: ${load[0].toFixed(1)} before, ${load[1].toFixed(1)} after`);
  if (load[0] > 0.5) console.log('The machine was not quiet: of these figures only the ratios say something, and those roughly.');
  const number = (value, digits) => (value === null ? '–' : value.toFixed(digits));
  const rows = report.results.map((result) => [
    result.network, `${result.engine} ${report.versions[result.engine]}`, number(result.median_ms, 1),
    `${number(result.p10_ms, 1)} – ${number(result.p90_ms, 1)}`, number(result.ratio_to_dynaconv, 2), number(result.ratio_to_static, 2),
    number(result.first_answer.total_ms, 0), number(result.bytes.code / 1e6, 2), number(result.bytes.code_gzip / 1e6, 2),
    number(result.bytes.model / 1e6, 1), result.difference.toExponential(1),
  ]);
  const header = ['network', 'engine', 'median ms', 'p10 – p90', '× dynaconv', '× static', 'first answer ms', 'code MB', 'gzip MB', 'model MB', 'difference'];
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column].length)));
  for (const row of [header, ...rows]) {
    console.log(row.map((text, column) => (column < 2 ? text.padEnd(widths[column]) : text.padStart(widths[column]))).join('  '));
  }
  for (const { engine, network, reason } of report.failures) console.log(`${engine} on ${network}: ${reason}`);
}

try {
  await main();
} catch (error) {
  say(`error: ${reason(error)}`);
  process.exitCode = 2;
}

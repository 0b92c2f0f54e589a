// The profile, as somebody who writes shaders would use it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { PATIENCE, afterLook, arrive, drop, launch, noSidewaysScroll, open, serve, shoot, spoken } from "./browser.mjs";
import { native, tinyModel } from "./native.mjs";

let server;
let browser;
let page;
const tiny = tinyModel();

before(async () => {
  server = await serve();
  browser = await launch();
  // A small dynamic network: a software adapter takes long to make the pipelines of a large one.
  page = await open(browser, server.address, { path: "?device=gpu&network=mobilenet-v2-cifar10" });
  await arrive(page);
  await afterLook(page, () => drop(page, "tiny.safetensors", tiny.bytes));
});
after(async () => {
  await browser?.close();
  server?.stop();
});
afterEach(() => assert.deepEqual(page.complaints.splice(0), []));

const measure = () => page.getByRole("button", { name: "Profile tiny" });
const busy = (state) => page.locator(`#profile[aria-busy="${state}"]`).waitFor();
/** A column of the table, as text. */
const column = (title) => page.locator("#launches").evaluate((table, title) => {
  const place = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === title);
  return [...table.tBodies[0].rows].map((row) => row.cells[place].textContent);
}, title);

async function saved(name) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
  return { name: download.suggestedFilename(), path: await download.path() };
}

describe("a profile in the page", { timeout: 4 * PATIENCE }, () => {
  let profile;

  test("a failure is said as others are, and the page goes on", async () => {
    await page.evaluate(() => {
      globalThis.dynaconvDemo.seats[0].classifier.profile = async () => { throw new Error("the clock stands still"); };
    });
    await measure().click();
    await page.locator(".message").filter({ hasText: "the clock stands still" }).waitFor();
    await busy("false");
    assert.ok(await page.locator("#profile-body").isHidden() && await page.getByRole("button", { name: "Save as JSON" }).isHidden());
    await page.evaluate(() => delete globalThis.dynaconvDemo.seats[0].classifier.profile);
  });

  test("Profile measures on demand, says that it does, and keeps the keyboard where it is", async () => {
    await measure().focus();
    await page.keyboard.press("Enter");
    await busy("true");
    assert.ok(await page.getByRole("progressbar", { name: "Measuring" }).isVisible());
    assert.equal(await measure().getAttribute("aria-disabled"), "true");
    await page.keyboard.press("Enter"); // starts no second one
    await busy("false");
    assert.ok(await measure().evaluate((button) => button === document.activeElement));
    assert.equal(await page.locator(".message.error").count(), 0);
    await spoken(page, /^Profile of tiny: a run takes \S+ \S+ in \d+ launches\.$/);
  });

  test("each launch of the plan has a row", async () => {
    const file = await saved("Save as JSON");
    assert.match(file.name, /^profile-[\w.-]+\.json$/);
    profile = JSON.parse(readFileSync(file.path, "utf8"));
    const launches = native("inspect", "--plan", "--model", tiny.file).split("\n").filter((line) => line.includes(" workgroups | "));
    assert.equal(launches.length, await page.evaluate(() => globalThis.dynaconvDemo.seats[0].classifier.info.launches));
    assert.equal(profile.dispatches.length, launches.length);
    assert.deepEqual(await column("layer"), profile.dispatches.map(({ layer }) => layer));
    assert.deepEqual(await column("kernel"), profile.dispatches.map(({ kernel, entry }) => `${kernel} ${entry}`));
    assert.deepEqual(await column("workgroups"), profile.dispatches.map(({ workgroups }) => workgroups.join("×")));
    // What the clock does not resolve is said to be below it, and gets no rate.
    const below = profile.dispatches.map(({ time }) => time.median < profile.method.resolution);
    assert.deepEqual((await column("median")).map((text) => text.startsWith("< ")), below);
    assert.deepEqual((await column("GFLOP/s")).map((text) => text === "–"), profile.dispatches.map(({ flops_rate }) => flops_rate === null));
  });

  test("the page says how it was measured, and that a software adapter is none", async () => {
    const method = await page.locator("#profile-method").textContent();
    assert.ok(method.includes(`one pass for each launch; ${profile.method.repeats} plain and ${profile.method.repeats} timed runs`), method);
    assert.match(await page.locator("#profile-warning").textContent(), /These times say nothing of any GPU/);
    assert.match(await page.locator("#profile-summary").textContent(), /^tiny: \S.* · webgpu, software/);
    const figures = await page.locator("#profile-figures").textContent();
    for (const part of ["a run of one picture", `in ${profile.dispatches.length} launches`, "bubble", "cost of profiling", "resolution of the clock", "dynamic work"]) {
      assert.ok(figures.includes(part), `${part}: ${figures}`);
    }
    const drawn = await page.locator("#bars svg").getAttribute("aria-label");
    for (const part of new Set(profile.dispatches.map(({ part }) => part))) assert.ok(drawn.includes(`${part}: `), drawn);
  });

  test("columns sort", async () => {
    const shown = () => page.locator("#launches tbody tr").evaluateAll((rows) => rows.map((row) => Number(row.dataset.launch)));
    const heading = page.getByRole("columnheader", { name: "flop/byte" });
    await heading.getByRole("button").click();
    assert.equal(await heading.getAttribute("aria-sort"), "descending");
    const intensities = async () => (await shown()).map((index) => profile.dispatches[index].intensity);
    const rising = profile.dispatches.map(({ intensity }) => intensity).sort((a, b) => a - b);
    assert.deepEqual(await intensities(), [...rising].reverse());
    await heading.getByRole("button").click();
    assert.equal(await heading.getAttribute("aria-sort"), "ascending");
    assert.deepEqual(await intensities(), rising);
    await page.getByRole("columnheader", { name: "#" }).getByRole("button").click();
    assert.deepEqual(await shown(), profile.dispatches.map(({ index }) => index));
  });

  test("the roofline shows every launch that it can place, to mouse and keyboard", async () => {
    const placed = profile.dispatches.filter(({ flops_rate, flops }) => flops_rate && flops > 0);
    assert.ok(placed.length > 0);
    assert.equal(await page.locator("#roofline circle").count(), placed.length);
    const tip = page.locator("#tip");
    await page.locator("#roofline circle").last().hover();
    assert.match(await tip.textContent(), /workgroups/);
    await page.locator("#roofline svg").focus();
    await page.keyboard.press("ArrowRight");
    assert.ok((await tip.textContent()).startsWith(`${placed[0].index}  ${placed[0].layer}`));
    await shoot(page, "profile-tip");
    await page.keyboard.press("Escape");
    assert.ok(await tip.isHidden());
    await page.locator("#launches tbody tr").first().focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    assert.ok((await tip.textContent()).startsWith(`1  ${profile.dispatches[1].layer}`));
    assert.equal(await page.locator("#roofline circle.on, #bars rect.on").first().getAttribute("data-launch"), "1");
    await page.keyboard.press("Escape");
  });

  test("the program reads what is saved", async () => {
    const { path } = await saved("Save as JSON");
    assert.match(native("compare", path, path), /all launches/);
    assert.match(native("profile", "--read", path, "--by", "part"), /controller/);
  });

  test("the saved page shows the same launches", async () => {
    const { name, path } = await saved("Save as page");
    assert.match(name, /\.html$/);
    const report = await page.context().newPage();
    report.on("pageerror", (error) => page.complaints.push(String(error)));
    report.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
    await report.setContent(readFileSync(path, "utf8"));
    await report.locator("#table tbody tr").nth(profile.dispatches.length - 1).waitFor();
    assert.equal(await report.locator("#timeline .launch").count(), profile.dispatches.length);
    assert.equal(await report.locator("#roofline circle").count(), await page.locator("#roofline circle").count());
    await report.close();
  });

  test("nothing is cut off on narrow windows", async () => {
    await shoot(page.locator("#profile"), "profile");
    for (const [width, height] of [[320, 640], [768, 900]]) {
      await page.setViewportSize({ width, height });
      await noSidewaysScroll(page);
    }
  });
});

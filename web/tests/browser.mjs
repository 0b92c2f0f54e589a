// A real browser on the real page: the server of scripts/serve-web.sh, Chromium without a graphics card, and what a person reads.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SHOTS = fileURLToPath(new URL("screenshots/", import.meta.url));

/** Milliseconds that one step may take: a software adapter on a busy machine is slow. */
export const PATIENCE = 150_000;

// The second flag gives a WebGPU adapter where there is no graphics card; the last two a camera that shows a moving test picture.
const FLAGS = ["--no-sandbox", "--enable-unsafe-webgpu", "--enable-precise-memory-info",
  "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];

/** Starts scripts/serve-web.sh on a free port; gives its address and a way to stop it. */
export async function serve() {
  const server = spawn(`${ROOT}scripts/serve-web.sh`, ["0"], { stdio: ["ignore", "pipe", "inherit"] });
  const address = await new Promise((resolve, reject) => {
    server.stdout.on("data", (text) => {
      const found = /http:\S+/.exec(String(text));
      if (found) resolve(found[0]);
    });
    server.on("exit", (code) => reject(new Error(`scripts/serve-web.sh ended with ${code}`)));
  });
  return { address, stop: () => server.kill() };
}

/** Opens Chromium; `without` names flags to leave out. */
export function launch(without = []) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: FLAGS.filter((flag) => !without.includes(flag)) });
}

/** A page with its complaints: console errors and exceptions that nobody caught. `prepare` gets it while it is empty. */
export async function open(browser, address, { width = 1280, height = 860, colours = "light", path = "", prepare } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: colours, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("filechooser", () => {}); // from now on choosers are caught, however soon they open
  page.complaints = [];
  page.on("console", (message) => {
    // Browsers ask for an icon where the page names none.
    if (message.type() === "error" && !message.location().url.endsWith("/favicon.ico")) page.complaints.push(message.text());
  });
  page.failed = new Promise((_, reject) => page.on("pageerror", (error) => {
    page.complaints.push(String(error.stack ?? error));
    reject(error);
  }));
  page.failed.catch(() => {}); // looked at by those who wait
  await prepare?.(page);
  await page.goto(address + path);
  return page;
}

/** How many pictures the page has looked at. */
export function looks(page) {
  return page.evaluate(() => Number(document.body.dataset.looked ?? 0));
}

/** Waits until the page has looked at its first picture. */
export async function arrive(page) {
  await Promise.race([page.failed, page.waitForFunction(() => document.body.dataset.looked)]);
}

/** Does something and waits until the page has looked at a picture (or several) more. */
export async function afterLook(page, action, times = 1) {
  const before = await looks(page);
  await action();
  const enough = page.waitForFunction((wanted) => Number(document.body.dataset.looked ?? 0) >= wanted, before + times);
  await Promise.race([page.failed, enough]);
}

/** The answers that a seat shows: [{ label, percent }]. */
export function answers(page, seat = 0) {
  return page.locator(".seat").nth(seat).locator(".guesses li:visible").evaluateAll((rows) =>
    rows.map((row) => ({ label: row.children[0].textContent, percent: parseFloat(row.children[1].textContent) })));
}

/** What screen readers are told, once it matches. */
export async function spoken(page, pattern) {
  const told = page.locator("#spoken").filter({ hasText: pattern });
  await told.waitFor({ state: "attached" });
  return told.textContent();
}

/** Drops a file on the page as the browser would: with a DataTransfer and the events of a drag. */
export async function drop(page, name, bytes, type = "") {
  const transfer = await page.evaluateHandle(([name, type, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    return transfer;
  }, [name, type, Buffer.from(bytes).toString("base64")]);
  for (const event of ["dragenter", "dragover", "drop"]) await page.dispatchEvent("#stage", event, { dataTransfer: transfer });
}

/** Keeps a picture of the page, or of the part of it that a locator finds, for people to look at. */
export async function shoot(page, name, options = {}) {
  mkdirSync(SHOTS, { recursive: true });
  if (options.fullPage) await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: `${SHOTS}${name}.png`, ...options });
}

export async function noSidewaysScroll(page) {
  const [inner, scroll] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
  assert.ok(scroll <= inner, `the page is ${scroll} pixels wide in a window of ${inner}`);
}

// Runs functions in pages of Chromium that have the package. Who imports this gets a server and a browser for all tests of the file.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { ROOT, launch, serve } from "./chromium.mjs";

// A software adapter takes long to compile the dynamic network's pipelines; where those do not matter the static one does.
export const MODEL = "assets/models/mobilenet-v2-cifar10.safetensors";
export const DYNAMIC = "assets/models/mobilenet-v2-dcd-cifar10.safetensors";
let server;
let browser;

before(async () => {
  server = await serve({ "/pkg/": `${ROOT}web/pkg/`, "/assets/": `${ROOT}assets/` });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.stop();
});

/** Runs a function in a fresh page, with the package loaded and a few helpers; console errors fail the test. */
export async function inPage(script, argument, { from = browser, expected = [], early, silent } = {}) {
  const page = await from.newPage();
  const complaints = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error.stack ?? error)));
  if (early) await page.addInitScript(early);
  // Addresses whose answer never comes.
  if (silent) await page.route(silent, () => {});
  await page.goto(server.address);
  await page.evaluate(async ([model, dynamic]) => {
    Object.assign(globalThis, await import("/pkg/index.js"));
    [globalThis.MODEL, globalThis.DYNAMIC] = [`/${model}`, `/${dynamic}`];
    globalThis.bitmap = async (name) => createImageBitmap(await (await fetch(`/assets/${name}`)).blob());
    // A picture so many times as large, on a canvas.
    globalThis.enlarged = (picture, times) => {
      const canvas = new OffscreenCanvas(times * picture.width, times * picture.height);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      return canvas;
    };
    globalThis.kindOf = async (promise) => {
      try {
        await promise;
        return "no error";
      } catch (error) {
        return error instanceof DynaconvError ? { kind: error.kind, message: error.message } : `untyped: ${error.stack ?? error}`;
      }
    };
  }, [MODEL, DYNAMIC]);
  const result = await page.evaluate(script, argument);
  await page.close();
  assert.deepEqual(complaints.filter((text) => !expected.some((pattern) => pattern.test(text))), []);
  return result;
}

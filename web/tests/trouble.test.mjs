// The page in trouble: without a server, with visitors quicker than it, in browsers of an older day.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { PATIENCE, afterLook, arrive, drop, launch, open, serve } from "./browser.mjs";
import { tinyModel } from "./native.mjs";

let server;
let browser;

before(async () => {
  server = await serve();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.stop();
});

/** Opens the page on the CPU, lets `use` have it, and closes it; `prepare` is called before the page is there. */
async function visit(use, prepare) {
  const page = await open(browser, server.address, { path: "?device=cpu", prepare });
  try {
    await use(page);
  } finally {
    await page.context().close();
  }
}

/** Lets requests of an address wait until the function that it gives is called. */
async function holdBack(page, address) {
  let release;
  const released = new Promise((resolve) => { release = resolve; });
  await page.route(address, async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

const sample = (page, name) => page.getByRole("button", { name: `${name} sample` });
const error = (page) => page.locator(".message.error");

describe("without a server", { timeout: 2 * PATIENCE }, () => {
  test("a sample that cannot be fetched is named, with what to do", () => visit(async (page) => {
    await arrive(page);
    await page.route("**/pictures/rocket.jpg", (route) => route.abort());
    await sample(page, "Rocket").click();
    await error(page).waitFor();
    assert.match(await error(page).textContent(), /^rocket\.jpg could not be fetched \(.+\)\. Check the connection and choose it again\./);
  }));

  test("a missing list of networks is named, and the answer says that there is none", () => visit(async (page) => {
    await error(page).waitFor();
    assert.match(await error(page).textContent(), /^models\/index\.json, the list of networks, could not be fetched \(.+\)\. .+ load the page again/);
    assert.match(await page.locator(".seat").first().innerText(), /^No network answers yet/);
    const { bytes } = tinyModel();
    await afterLook(page, () => drop(page, "tiny.safetensors", bytes));
    assert.match(await page.locator(".seat .headline").first().innerText(), /^\d/);
  }, (page) => page.route("**/models/index.json", (route) => route.abort())));

  test("a missing package is told once, and not as the network's fault", () => visit(async (page) => {
    await error(page).first().waitFor();
    await page.locator(".seat[aria-busy=false]").first().waitFor();
    await page.waitForTimeout(200);
    assert.deepEqual((await error(page).allTextContents()).map((text) => /^The package is missing or broken .*build-web\.sh makes it\./.test(text)), [true]);
  }, (page) => page.route("**/pkg/index.js", (route) => route.abort())));
});

describe("visitors in a hurry", { timeout: 2 * PATIENCE }, () => {
  test("of several networks chosen in a row only the last is downloaded", () => visit(async (page) => {
    await arrive(page);
    const release = await holdBack(page, "**/models/*.safetensors");
    for (const name of ["Static twin", "EfficientNet-Lite0", "Static twin"]) await page.getByRole("radio", { name }).check();
    await afterLook(page, release);
    const kept = () => page.evaluate(async () => Boolean(await caches.match("models/efficientnet-lite0.safetensors")));
    await page.waitForTimeout(500); // what was overtaken would have come by now
    assert.equal(await kept(), false);
    assert.equal(await error(page).count(), 0);
    assert.ok(await page.locator(".seat[data-network=mobilenet-v2-cifar10][aria-busy=false]").count());
  }));

  test("the frame that a stopped webcam leaves is not replaced by a sample asked for before", () => visit(async (page) => {
    await arrive(page);
    await afterLook(page, () => page.getByRole("button", { name: "Start webcam" }).click(), 2);
    const release = await holdBack(page, "**/pictures/rocket.jpg");
    await sample(page, "Rocket").click();
    await page.getByRole("button", { name: "Stop webcam" }).click();
    const caption = page.locator("#caption");
    await caption.filter({ hasText: "the last frame" }).waitFor();
    await Promise.all([page.waitForResponse("**/pictures/rocket.jpg"), release()]);
    await page.waitForTimeout(500);
    assert.match(await caption.textContent(), /^the last frame/);
  }));

  test("pictures that nothing will look at again are closed", () => visit(async (page) => {
    const open = () => page.evaluate(() => globalThis.bitmaps.filter(({ width }) => width > 0).length);
    await arrive(page);
    for (const name of ["Rocket", "Coffee", "Cat"]) await afterLook(page, () => sample(page, name).click());
    assert.equal(await open(), 2, "the picture and the one before it");
    await afterLook(page, () => page.getByRole("button", { name: "Pin this picture" }).click());
    await afterLook(page, () => sample(page, "Rocket").click());
    // The pinned picture is looked at again by the new network.
    await afterLook(page, () => drop(page, "tiny.safetensors", tinyModel().bytes));
    assert.match(await page.locator("#dynamic-summary").textContent(), /for rocket\.jpg.*Against cat\.jpg/);
    await afterLook(page, () => page.getByRole("button", { name: "Unpin cat.jpg" }).click());
    assert.equal(await open(), 1);
    const release = await holdBack(page, "**/pictures/coffee.jpg");
    await sample(page, "Coffee").click();
    await afterLook(page, () => sample(page, "Cat").click());
    await Promise.all([page.waitForResponse("**/pictures/coffee.jpg"), release()]);
    await page.waitForTimeout(500);
    assert.equal(await open(), 2, "one that was overtaken is closed");
    assert.equal(await error(page).count(), 0);
  }, (page) => page.addInitScript(() => {
    const [make, bitmaps] = [globalThis.createImageBitmap, []];
    globalThis.bitmaps = bitmaps;
    globalThis.createImageBitmap = async (...values) => {
      const bitmap = await make(...values);
      bitmaps.push(bitmap);
      return bitmap;
    };
  })));
});

describe("messages and the veil", { timeout: 2 * PATIENCE }, () => {
  test("the keyboard goes on at the next message, and then at the answers", () => visit(async (page) => {
    await arrive(page);
    await drop(page, "broken.safetensors", Buffer.from("no model"));
    await error(page).waitFor();
    await drop(page, "notes.txt", Buffer.from("text"));
    await error(page).filter({ hasText: "notes.txt" }).waitFor();
    const focused = () => page.evaluate(() => document.activeElement.closest(".message")?.textContent ?? document.activeElement.id);
    await error(page).first().getByRole("button").focus();
    await page.keyboard.press("Enter");
    assert.match(await focused(), /^notes\.txt/);
    await page.keyboard.press("Enter");
    assert.equal(await focused(), "answers");
    assert.equal(await error(page).count(), 0);
  }));

  test("the veil goes when a drag leaves the window, whatever it had entered", () => visit(async (page) => {
    await arrive(page);
    const dataTransfer = await page.evaluateHandle(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["text"], "notes.txt"));
      return transfer;
    });
    const drag = (event, on) => page.dispatchEvent(on, event, { dataTransfer });
    await drag("dragenter", "#stage");
    await drag("dragenter", "#caption");
    await drag("dragover", "#caption");
    assert.ok(await page.locator("#veil").isVisible());
    await drag("dragleave", "#caption"); // into no other element
    assert.ok(await page.locator("#veil").isHidden());
  }));

});

describe("browsers of an older day", { timeout: 2 * PATIENCE }, () => {
  test("without light-dark() the page has its light colours, and offers no others", () => visit(async (page) => {
    await arrive(page);
    const colours = (selector) => page.locator(selector).evaluate((element) => {
      const { color, backgroundColor } = getComputedStyle(element);
      return [color, backgroundColor];
    });
    assert.deepEqual(await colours("body"), ["rgb(16, 20, 28)", "rgb(251, 251, 250)"]);
    assert.ok(await page.getByRole("button", { name: "Dark colours" }).isHidden());
  }, async (page) => {
    await page.emulateMedia({ colorScheme: "dark" });
    await page.route("**/*.css", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: (await response.text()).replaceAll("light-dark(", "unknown(") });
    });
    await page.addInitScript(() => { CSS.supports = () => false; });
  }));
});

// The demo, used as a person would.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { ROOT, PATIENCE, afterLook, answers, arrive, drop, launch, looks, noSidewaysScroll, open, serve, shoot, spoken } from "./browser.mjs";
import { nativeAnswers, tinyModel } from "./native.mjs";

const DCD = "assets/models/mobilenet-v2-dcd-cifar10.safetensors";
const STATIC = "assets/models/mobilenet-v2-cifar10.safetensors";
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

/** The shown top five are the native program's, to the digit that is shown. */
function assertShown(shown, expected) {
  assert.deepEqual(shown.map(({ label }) => label), expected.map(({ label }) => label));
  shown.forEach(({ percent }, index) => {
    const off = Math.abs(percent - 100 * expected[index].probability);
    assert.ok(off <= 0.1 + 0.05, `${shown[index].label}: ${percent} % shown, ${100 * expected[index].probability} % expected`);
  });
}

describe("a visit, on the CPU", { timeout: 4 * PATIENCE }, () => {
  let page;
  before(async () => {
    page = await open(browser, server.address, { path: "?device=cpu" });
  });
  after(() => page?.context().close());
  afterEach(() => assert.deepEqual(page.complaints.splice(0), []));

  test("the sample cat is recognised on arrival, and its weights are shown", async () => {
    await arrive(page);
    const expected = nativeAnswers(DCD, "assets/pictures/cat.jpg");
    assertShown(await answers(page), expected);
    assert.equal(expected[0].label, "cat");
    const said = /\d+/.exec(await spoken(page, /^Answer: cat \d+ percent, then /));
    assert.ok(Math.abs(Number(said) - 100 * expected[0].probability) <= 0.1 + 0.5, `spoken: ${said} percent`);
    assert.match(await page.locator("#dynamic-summary").textContent(), /^33 layers made 23,706 numbers for cat\.jpg/);
    assert.equal(await page.locator(".tile").count(), 33);
    assert.ok(await page.getByRole("radio", { name: "Difference" }).isDisabled());
    assert.match(await page.locator("#device").textContent(), /on the CPU/);
    const facts = page.getByRole("article", { name: "Dynamic (DCD)" }).locator(".facts");
    assert.match(await facts.textContent(), /102 launches a picture, .* Its times are a processor's, not a graphics card's\.$/);
    assert.match(await page.locator(".seat .timing dl").first().textContent(), /prepare\S+ ms\s*network\S+ ms\s*readback\S+ ms/);
    const colours = await page.locator(".map.current .frame canvas").evaluate((canvas) =>
      new Set(new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size);
    assert.ok(colours > 10, `the heat map has ${colours} colours`);
    await shoot(page, "light");
  });

  test("the same answer again is read out again", async () => {
    const answer = await spoken(page, /^Answer: cat/);
    await page.evaluate(() => {
      globalThis.told = [];
      const place = document.getElementById("spoken");
      new MutationObserver(() => globalThis.told.push(place.textContent)).observe(place, { childList: true });
    });
    await afterLook(page, () => page.getByRole("button", { name: "Cat sample" }).click());
    await spoken(page, /^Answer: cat/);
    assert.deepEqual(await page.evaluate(() => globalThis.told), ["", answer]);
  });

  test("a click on a sample compares it with the picture before", async () => {
    await afterLook(page, () => page.getByRole("button", { name: "Rocket sample" }).click());
    assertShown(await answers(page), nativeAnswers(DCD, "assets/pictures/rocket.jpg"));
    assert.match(await page.locator("#caption").textContent(), /^rocket\.jpg, 640 × 427/);
    assert.match(await page.locator("#dynamic-summary").textContent(), /Against cat\.jpg, Φ differs by [1-9]\d* %/);
    await page.getByRole("radio", { name: "Difference" }).check();
    await page.getByRole("radio", { name: /Block 5 expand/ }).click();
    assert.match(await page.locator("#layer h3").textContent(), /Block 5 expand/);
    assert.match(await page.locator(".map.difference figcaption").textContent(), /Difference: \d+\.\d % of ‖Φ‖/);
    await page.getByText("All layers in numbers").click();
    // The table is filled when it has opened.
    await page.locator("#table tbody tr").nth(32).waitFor();
    assert.equal(await page.locator("#table tbody tr").count(), 33);
    await shoot(page, "whole", { fullPage: true });
    await page.getByText("All layers in numbers").click();
    await shoot(page.locator(".dynamic"), "dynamic");
  });

  test("a pinned picture stays the reference", async () => {
    await afterLook(page, () => page.getByRole("button", { name: "Pin this picture" }).click());
    await afterLook(page, () => page.getByRole("button", { name: "Coffee sample" }).click());
    await afterLook(page, () => page.getByRole("button", { name: "Cat sample" }).click());
    assert.match(await page.locator("#dynamic-summary").textContent(), /for cat\.jpg.*Against rocket\.jpg/);
    await afterLook(page, () => page.getByRole("button", { name: "Unpin rocket.jpg" }).click());
    assert.doesNotMatch(await page.locator("#dynamic-summary").textContent(), /Against/);
  });

  test("a picked file", async () => {
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.locator("#stage").click()]);
    await afterLook(page, () => chooser.setFiles(`${ROOT}assets/golden/pictures/resize/source-200x160.png`));
    assert.match(await page.locator("#caption").textContent(), /^source-200x160\.png, 200 × 160/);
  });

  test("the keyboard alone reaches pictures, layers and values", async () => {
    const tabTo = async (selector) => {
      for (let presses = 0; presses < 80; presses++) {
        if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
        await page.keyboard.press("Tab");
      }
      assert.fail(`Tab does not reach ${selector}`);
    };
    await page.evaluate(() => {
      document.activeElement?.blur();
      scrollTo(0, 0);
    });
    await tabTo("#stage");
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Enter")]);
    await afterLook(page, () => chooser.setFiles(`${ROOT}assets/pictures/cat.jpg`));
    await tabTo(".sample");
    await afterLook(page, () => page.keyboard.press("Enter"));
    await tabTo(".tile");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.locator("#layer h3").textContent(), "Block 2 project");
    await tabTo(".map .frame");
    assert.equal(await page.locator("[role=application] figcaption").count(), 0, "what takes the keys hides no caption");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowRight");
    await spoken(page, /^Φ row 1, column 2: [+−]\d\.\d{3}, before/);
    await tabTo(".gains");
    await page.keyboard.press("End");
    await spoken(page, /^λ of channel 24: \d\.\d{3}/);
  });

  test("a pasted picture", async () => {
    const base64 = readFileSync(`${ROOT}assets/pictures/coffee.jpg`).toString("base64");
    await afterLook(page, () => page.evaluate((base64) => {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const clipboardData = new DataTransfer();
      clipboardData.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
      document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
    }, base64));
    assert.match(await page.locator("#caption").textContent(), /^pasted\.jpg, 600 × 400/);
  });

  test("a file that is no picture gets a plain answer", async () => {
    await drop(page, "notes.png", Buffer.from("not a picture"), "image/png");
    await page.getByText("notes.png is not a picture that this browser can read.").waitFor();
    await drop(page, "notes.txt", Buffer.from("text"), "text/plain");
    await page.getByText("notes.txt is neither a picture nor a model (.safetensors).").waitFor();
    await page.getByRole("button", { name: "Close this message" }).last().click();
    assert.match(await page.locator("#caption").textContent(), /^pasted\.jpg/);
  });

  test("the other networks, and two side by side", async () => {
    await page.getByRole("switch", { name: "Compare with" }).check();
    await page.locator("#versus").waitFor();
    await page.waitForFunction(() => document.querySelectorAll(".seat:not([hidden])[aria-busy=false]").length === 2);
    const [own, twin] = [await answers(page, 0), await answers(page, 1)];
    assertShown(own, nativeAnswers(DCD, "assets/pictures/coffee.jpg"));
    assertShown(twin, nativeAnswers(STATIC, "assets/pictures/coffee.jpg"));
    assert.match(await page.locator("#versus").textContent(), /^They disagree: .* Dynamic \(DCD\) took .* ms, Static twin .* ms\.$/);
    assert.equal(await spoken(page, "They disagree"), await page.locator("#versus").textContent());
    await shoot(page, "compare");
    await page.getByRole("switch", { name: "Compare with" }).uncheck();

    await afterLook(page, () => page.getByRole("radio", { name: "Static twin" }).check());
    assert.match(await page.locator("#dynamic-summary").textContent(), /^Static twin has no dynamic layers: its weights are the same/);
    assert.ok(await page.locator("#mosaic").isHidden());
    await afterLook(page, () => page.getByRole("radio", { name: "EfficientNet-Lite0" }).check());
    assertShown(await answers(page), nativeAnswers("assets/models/efficientnet-lite0.safetensors", "assets/pictures/coffee.jpg"));
  });
});

describe("a visitor's own model, on the GPU", { timeout: 6 * PATIENCE }, () => {
  const tiny = tinyModel();
  let page;
  before(async () => {
    page = await open(browser, server.address, { path: "?device=gpu&network=mobilenet-v2-cifar10" });
    await arrive(page);
  });
  after(() => page?.context().close());
  afterEach(() => assert.deepEqual(page.complaints.splice(0), []));

  test("a broken model file is refused in plain words, and the page goes on", async () => {
    await drop(page, "broken.safetensors", tiny.bytes.subarray(0, 1000));
    const message = page.locator(".message").filter({ hasText: "This file is not a model that dynaconv can read." });
    await message.waitFor();
    assert.match(await message.textContent(), /broken: .*Static twin goes on\./);
    assert.ok(await page.getByRole("radio", { name: "Static twin" }).isChecked());
    await afterLook(page, () => page.getByRole("button", { name: "Rocket sample" }).click());
    assert.equal((await answers(page)).length, 5);
  });

  test("the page survives the loss of its device, ten times", async () => {
    assert.match(await page.locator("#device").textContent(), /software adapter/);
    const expected = await answers(page);
    assertShown(expected, nativeAnswers(STATIC, "assets/pictures/rocket.jpg"));
    for (let loss = 0; loss < 10; loss++) {
      await page.evaluate(() => globalThis.dynaconvDemo.seats[0].classifier.loseDevice());
      await afterLook(page, () => page.getByRole("button", { name: "Rocket sample" }).click());
      assert.deepEqual(await answers(page), expected);
    }
    assert.equal(await page.locator(".message[data-topic=look]").count(), 0);
  });

  test("a model that is dropped is used, and the former message goes", async () => {
    await afterLook(page, () => drop(page, "tiny.safetensors", tiny.bytes));
    assert.ok(await page.getByRole("radio", { name: "tiny" }).isChecked());
    assert.equal(await page.locator(".message.error").count(), 0);
    const expected = nativeAnswers(tiny.file, "assets/pictures/rocket.jpg");
    assertShown(await answers(page), expected.map((guess) => ({ ...guess, label: `class ${guess.class}` })));
  });

  test("what was made is had again where the device is lost before it is read, and asked for once otherwise", async () => {
    const asked = (before) => page.evaluate((before) => {
      const { classifier } = globalThis.dynaconvDemo.seats[0];
      globalThis.asked = 0;
      classifier.insight = async () => {
        globalThis.asked += 1;
        if (before === "fail") throw Object.assign(new Error("no memory"), { kind: "device" });
        if (globalThis.asked === 1) classifier.loseDevice();
        return Object.getPrototypeOf(classifier).insight.call(classifier);
      };
    }, before);
    const message = page.locator(".message[data-topic=look]");
    await asked("lose");
    await afterLook(page, () => page.getByRole("button", { name: "Rocket sample" }).click());
    assert.equal(await page.evaluate(() => globalThis.asked), 2);
    assert.equal(await message.count(), 0);
    await asked("fail");
    await page.getByRole("button", { name: "Rocket sample" }).click();
    await message.filter({ hasText: "no memory" }).waitFor();
    assert.equal(await page.evaluate(() => globalThis.asked), 1);
    await page.evaluate(() => delete globalThis.dynaconvDemo.seats[0].classifier.insight);
    await afterLook(page, () => page.getByRole("button", { name: "Rocket sample" }).click());
    assert.equal(await message.count(), 0);
  });

  test("the webcam runs frame by frame, pauses while hidden, and leaves its last frame", async () => {
    await afterLook(page, () => page.getByRole("button", { name: "Start webcam" }).click(), 6);
    assert.match(await page.locator(".rate").first().textContent(), /^\d+\.\d frames per second$/);
    assert.match(await page.locator("#dynamic-summary").textContent(), /for the webcam.*Against rocket\.jpg/);
    const hide = (hidden) => page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, hidden);
    await hide(true);
    await page.waitForTimeout(1500); // the frame under way ends
    const paused = await looks(page);
    await page.waitForTimeout(1500);
    assert.equal(await looks(page), paused);
    await afterLook(page, () => hide(false), 2);
    await page.getByRole("button", { name: "Stop webcam" }).click();
    await page.locator("#caption").filter({ hasText: "the last frame" }).waitFor();
    await page.getByRole("button", { name: "Start webcam" }).waitFor();
    assert.equal(await page.evaluate(() => document.getElementById("video").srcObject), null);
  });

  test("a frame may be pinned in the middle of a look, and the webcam goes on", async () => {
    await afterLook(page, () => page.getByRole("button", { name: "Start webcam" }).click(), 2);
    await afterLook(page, () => page.evaluate(() => {
      const { classifier } = globalThis.dynaconvDemo.seats[0];
      const pin = document.getElementById("pin");
      classifier.insight = async () => {
        delete classifier.insight; // once
        const layers = await classifier.insight();
        pin.click();
        while (!pin.classList.contains("on")) await new Promise((later) => setTimeout(later, 10));
        return layers;
      };
    }), 4);
    assert.match(await page.locator("#dynamic-summary").textContent(), /for the webcam.*Against the pinned frame/);
    await afterLook(page, () => page.getByRole("button", { name: "Unpin the pinned frame" }).click(), 2);
    assert.equal(await page.locator(".message.error").count(), 0);
    await page.getByRole("button", { name: "Stop webcam" }).click();
    await page.locator("#caption").filter({ hasText: "the last frame" }).waitFor();
  });

  test("nothing is cut off on narrow windows", async () => {
    for (const [width, height] of [[320, 640], [360, 740], [768, 900], [1000, 700]]) {
      await page.setViewportSize({ width, height });
      await noSidewaysScroll(page);
    }
  });
});

describe("without WebGPU", { timeout: 2 * PATIENCE }, () => {
  test("the page says so and answers on the CPU", async () => {
    const bare = await launch(["--enable-unsafe-webgpu"]);
    try {
      const page = await open(bare, server.address);
      await arrive(page);
      assertShown(await answers(page), nativeAnswers(DCD, "assets/pictures/cat.jpg"));
      assert.match(await page.locator("#device").textContent(), /on the CPU/);
      assert.equal(await page.locator(".message.note").count(), 1);
      assert.deepEqual(page.complaints, []);
    } finally {
      await bare.close();
    }
  });
});

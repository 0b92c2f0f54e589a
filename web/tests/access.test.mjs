// The page for everyone: axe's rules on each look of the page, and the two looks themselves.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { PATIENCE, afterLook, arrive, launch, noSidewaysScroll, open, serve, shoot } from "./browser.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
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

/** No rule of WCAG 2.2 A and AA, nor axe's best practices, is broken. */
async function assertAccessible(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html.slice(0, 160)}`));
  assert.deepEqual(found, []);
}

describe("the page for everyone", { timeout: 4 * PATIENCE }, () => {
  for (const [name, look] of Object.entries({
    light: { colours: "light" },
    dark: { colours: "dark" },
    phone: { colours: "light", width: 360, height: 740 },
  })) {
    test(`in the look "${name}" no rule is broken`, async () => {
      const page = await open(browser, server.address, { ...look, path: "?device=cpu" });
      await arrive(page);
      await afterLook(page, () => page.getByRole("button", { name: "Rocket sample" }).click());
      await page.getByText("All layers in numbers").click();
      await page.getByRole("button", { name: "Profile Dynamic (DCD)" }).click();
      await page.locator("#profile-body").waitFor();
      await page.getByText("How it was measured").click();
      await assertAccessible(page);
      await noSidewaysScroll(page);
      await page.getByText("How it was measured").click();
      await page.getByText("All layers in numbers").click();
      await shoot(page.locator("#profile"), `profile-${name}`);
      if (name !== "light") await shoot(page, name, { fullPage: true });
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    });
  }

  test("the picture stays in sight where all of it is, and can be scrolled elsewhere", async () => {
    const page = await open(browser, server.address, { path: "?device=cpu" });
    await arrive(page);
    for (const [width, height, sticky] of [[1280, 860, true], [1280, 580, true], [740, 580, true], [800, 360, false], [600, 900, false]]) {
      await page.setViewportSize({ width, height });
      const [position, end] = await page.locator(".stuck").evaluate((part) => [getComputedStyle(part).position, part.offsetHeight + 16]);
      assert.equal(position === "sticky", sticky, `${width} × ${height}`);
      if (sticky) assert.ok(end <= height, `${end} pixels in a window of ${width} × ${height}`);
    }
    await page.context().close();
  });

  test("the visitor's choice of colours is kept", async () => {
    const page = await open(browser, server.address, { path: "?device=cpu" });
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await paper();
    await page.getByRole("button", { name: "Dark colours" }).click();
    const dark = await paper();
    assert.notEqual(dark, light);
    await page.reload();
    assert.equal(await paper(), dark);
    await page.context().close();
  });
});

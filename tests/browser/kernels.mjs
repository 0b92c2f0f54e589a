// The kernel suite in headless Chromium. Usage: node tests/browser/kernels.mjs FOLDER [KERNEL...]
//
// FOLDER holds the suite as an ES module, `suite.js`. Each kernel's cases run on the page's GPU; every kernel's text and every
// pipeline of whole networks go through the browser's compiler; and a deliberate fault must be caught. Exit code 1 says that
// something failed.

import { launch, serve } from "./chromium.mjs";

const [folder, ...wanted] = process.argv.slice(2);
const server = await serve({ "/suite/": folder });
const browser = await launch();
const page = await browser.newPage();
let failed = 0;
const fail = (message) => {
  failed += 1;
  console.log(`  FAILED ${message}`);
};
page.on("console", (message) => ["error", "warning"].includes(message.type()) && fail(`the page says: ${message.text()}`));
page.on("pageerror", (error) => fail(`the page threw: ${error.stack ?? error}`));

try {
  await page.goto(server.address);
  const kernels = await page.evaluate(async () => {
    globalThis.suite = await import("/suite/suite.js");
    await globalThis.suite.default({ module_or_path: "/suite/suite_bg.wasm" });
    return JSON.parse(globalThis.suite.kernels());
  });

  // What the compiler has to say of each text, warnings included, and of each pipeline of whole networks.
  const pipelines = await page.evaluate(() => JSON.parse(globalThis.suite.pipelines()));
  const { found: messages, left, hasSubgroups } = await page.evaluate(async ([kernels, pipelines]) => {
    const adapter = await navigator.gpu?.requestAdapter();
    if (!adapter) return { found: ["no WebGPU adapter: a test that needs a GPU never passes without one"], left: [], hasSubgroups: false };
    // Only native plans have kernels with subgroups of eight; their text is checked all the same where the browser knows subgroups.
    const hasSubgroups = adapter.features.has("subgroups");
    const device = await adapter.requestDevice({ requiredFeatures: hasSubgroups ? ["subgroups"] : [] });
    const [found, modules, left] = [[], {}, []];
    for (const { stem, precision, wgsl, subgroups, texels } of kernels) {
      if (subgroups && !hasSubgroups) {
        left.push(stem);
        continue;
      }
      const module = device.createShaderModule({ code: wgsl });
      const name = `${stem} ${precision}${texels ? ` ${texels}` : ""}`;
      const info = await module.getCompilationInfo();
      for (const { type, message, lineNum } of info.messages) found.push(`${name}: ${type} in line ${lineNum}: ${message}`);
      modules[name] = module;
    }
    const compile = async ({ stem, precision, entry, constants }) => {
      const name = `${stem} ${precision}`;
      try {
        await device.createComputePipelineAsync({ layout: "auto", compute: { module: modules[name], entryPoint: entry, constants } });
      } catch (error) {
        found.push(`${name} ${entry} ${JSON.stringify(constants)}: ${error.message}`);
      }
    };
    await Promise.all(pipelines.filter(({ stem }) => !left.includes(stem)).map(compile));
    return { found, left, hasSubgroups };
  }, [kernels, pipelines]);
  messages.forEach(fail);
  console.log(`${kernels.length - left.length} texts and ${pipelines.length} pipelines of whole networks went through the browser's compiler`);
  if (left.length > 0) console.log(`left out, since this browser knows no subgroups: ${left.join(", ")}`);

  // All texts load and store halves alike, so a few kernels are enough for these.
  const asHalves = ["controller_assemble_quad", "conv_depthwise", "latent_wide", "linear", "pool"];
  // Likewise load and store textures.
  const inTextures = ["assemble", "controller_assemble_quad", "conv_pointwise_quad", "linear"];
  const runs = ({ stem, precision, subgroups, texels }) =>
    (!subgroups || (subgroups === "quads" && hasSubgroups)) && stem !== "resize" && (wanted.length === 0 || wanted.includes(stem)) &&
    (!texels || (texels === "sampled" && inTextures.includes(stem))) && (precision === "f32" || asHalves.includes(stem));
  let cases = 0;
  for (const { stem, precision, texels } of kernels.filter(runs)) {
    const begin = performance.now();
    const how = [stem, precision === "f16", texels === "sampled"];
    const result = JSON.parse(await page.evaluate((how) => globalThis.suite.check(...how, []), how));
    cases += result.cases;
    const name = `${stem} ${precision}${texels ? ` ${texels}` : ""}`;
    for (const failure of result.failures.slice(0, 10)) fail(`${name}: ${failure}`);
    console.log(`${name}: ${result.cases} cases, ${result.failures.length} failures, ${Math.round(performance.now() - begin)} ms`);
  }
  if (cases === 0) fail("no case was run");

  // The suite can fail, here too.
  const fault = ["first + i * width < results", "first + i * width + 1u < results"];
  if (!kernels.find(({ stem }) => stem === "controller").wgsl.includes(fault[0])) fail("the text of the deliberate fault is out of date");
  const faulty = JSON.parse(await page.evaluate((fault) => globalThis.suite.check("controller", false, false, fault), fault));
  if (faulty.failures.length === 0) fail("a deliberate fault in `controller` was not caught");

  console.log(`${cases} cases`);
} catch (error) {
  fail(String(error.stack ?? error));
}
await browser.close();
server.stop();
if (failed > 0) console.log(`${failed} failures`);
process.exit(failed > 0 ? 1 : 0);

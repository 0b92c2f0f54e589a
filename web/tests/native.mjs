// The native program as reference and as maker of a tiny model.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./browser.mjs";

function program() {
  const path = process.env.DYNACONV ?? `${ROOT}target/release/dynaconv`;
  if (!existsSync(path)) throw new Error(`${path} is missing: cargo build --release makes it`);
  return path;
}

/** What the native program answers, computed on its CPU twins: [{ class, label, probability }], best first. */
export function nativeAnswers(model, picture) {
  const line = execFileSync(program(), ["classify", "--device", "cpu", "--json", "--top", "5", "--model", model, picture], { cwd: ROOT });
  return JSON.parse(line).guesses;
}

/** A model of half a megabyte: MobileNetV2-DCD ×0.1 at 32 pixels, ten nameless classes, from the tests' own checkpoint. */
export function tinyModel() {
  const folder = mkdtempSync(join(tmpdir(), "dynaconv-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "tiny.safetensors");
  execFileSync(program(), ["import", "assets/golden/tiny_zip.pth.tar", "--output", file, "--half",
    "--input-size", "32", "--resize", "32"], { cwd: ROOT, stdio: "ignore" });
  return { file, bytes: readFileSync(file) };
}

/** What the native program prints. */
export function native(...words) {
  return execFileSync(program(), words, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

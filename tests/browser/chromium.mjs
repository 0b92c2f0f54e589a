// Headless Chromium with WebGPU, on pages of this repository.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const { chromium } = createRequire(new URL("../../web/tests/", import.meta.url))("playwright-core");

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".jpg": "image/jpeg",
  ".png": "image/png",
};

/** Serves folders, each under its prefix, and an empty page; gives the address and a way to stop. */
export async function serve(folders) {
  const server = createServer(async (request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
    const prefix = Object.keys(folders).find((prefix) => path.startsWith(prefix));
    try {
      const empty = '<!doctype html><title>Test</title><link rel="icon" href="data:,">';
      const body = prefix === undefined && path === "/" ? empty : await readFile(join(folders[prefix], path.slice(prefix.length)));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? (path === "/" ? "text/html" : "application/octet-stream") });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://localhost:${server.address().port}/`, stop: () => server.close() };
}

/** Opens Chromium; with `gpu` false a WebGPU that has no adapter. */
export function launch({ gpu = true } = {}) {
  // The second flag gives a WebGPU adapter where there is no graphics card.
  const args = ["--no-sandbox", ...(gpu ? ["--enable-unsafe-webgpu"] : [])];
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}

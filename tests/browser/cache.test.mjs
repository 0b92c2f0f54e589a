// Where a model's bytes come from: the network, the package's cache, and what the browser itself keeps.
// Run by scripts/test-web.sh with node --test.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inPage } from "./page.mjs";

describe("a model from the network", { timeout: 600_000 }, () => {
  test("keeps a model, fetches a spoilt copy anew, and tells the progress", async () => {
    const found = await inPage(async () => {
      const url = new URL(MODEL, location).href;
      const progress = [];
      const size = (await (await fetch(url)).arrayBuffer()).byteLength;
      await Classifier.load(url, { device: "cpu", onProgress: (loaded, total) => progress.push([loaded, total]) });
      const cache = await caches.open("dynaconv");
      const kept = (await (await cache.match(url)).arrayBuffer()).byteLength;
      await cache.put(url, new Response("spoilt"));
      const healed = (await Classifier.load(url, { device: "cpu" })).info.bytes;
      const fetched = globalThis.fetch;
      // A server's worse file replaces none.
      globalThis.fetch = async () => new Response("no model", { headers: { "content-length": "8" } });
      const worse = await kindOf(Classifier.load(url, { device: "cpu" }));
      globalThis.fetch = () => Promise.reject(new TypeError("offline"));
      const offline = (await Classifier.load(url, { device: "cpu" })).info.bytes;
      const uncached = await kindOf(Classifier.load(url, { device: "cpu", cache: false }));
      globalThis.fetch = fetched;
      return { size, kept, healed, worse, offline, uncached, first: progress[0], last: progress.at(-1) };
    });
    assert.deepEqual([found.kept, found.healed, found.offline], [found.size, found.size, found.size]);
    assert.deepEqual([found.first[0], found.last[0]], [0, found.size]);
    assert.deepEqual([found.worse.kind, found.uncached.kind], ["bad-model", "network"]);
  });

  test("is fetched again only when the server has another one, and then not out of the browser's own cache", async () => {
    const found = await inPage(async () => {
      const fetched = globalThis.fetch;
      const bytes = new Uint8Array(await (await fetched(MODEL)).arrayBuffer());
      // Two sites: this one, which allows a condition, and another, which is only asked what it has.
      let [tag, silent, asked] = ["", false, []];
      const headers = () => ({ etag: tag, "content-length": String(bytes.length) });
      globalThis.fetch = async (address, options = {}) => {
        if (!String(address).includes("model.safetensors")) return fetched(address, options);
        const { method = "GET", cache = "default" } = options;
        const condition = options.headers?.["if-none-match"];
        asked.push([method, cache, condition ?? null]);
        if (silent) return new Promise((_, reject) => options.signal.addEventListener("abort", () => reject(options.signal.reason)));
        if (method === "HEAD") return new Response(null, { headers: headers() });
        return condition === tag ? new Response(null, { status: 304 }) : new Response(bytes, { headers: headers() });
      };
      const found = {};
      for (const site of [location.origin, "https://models.example"]) {
        const load = async (next, isSilent = false) => {
          [tag, silent, asked] = [next, isSilent, []];
          (await Classifier.load(`${site}/model.safetensors`, { device: "cpu" })).dispose();
          return asked;
        };
        found[site === location.origin ? "own" : "other"] = {
          first: await load('"a"'), same: await load('"a"'), changed: await load('"b"'), after: await load('"b"'), silent: await load('"c"', true),
        };
      }
      globalThis.fetch = fetched;
      return found;
    });
    const get = ["GET", "default", null];
    const anew = ["GET", "no-cache", null];
    const conditional = (tag) => ["GET", "no-store", tag];
    const head = ["HEAD", "no-store", null];
    assert.deepEqual(found, {
      own: {
        first: [get], same: [conditional('"a"')], changed: [conditional('"a"'), anew], after: [conditional('"b"')], silent: [conditional('"b"')],
      },
      other: { first: [get], same: [head], changed: [head, anew], after: [head], silent: [head] },
    });
  });

  test("is fetched again where a server says little of it, and kept for when it says nothing at all", async () => {
    const found = await inPage(async () => {
      const fetched = globalThis.fetch;
      const bytes = new Uint8Array(await (await fetched(MODEL)).arrayBuffer());
      const url = "https://models.example/model.safetensors";
      let [server, asked] = [{}, []];
      globalThis.fetch = async (address, options = {}) => {
        if (String(address) !== url) return fetched(address, options);
        const { method = "GET" } = options;
        asked.push(method);
        if (server.fails?.includes(method)) throw new TypeError("unreachable");
        if (server.refuses?.includes(method)) return new Response(null, { status: 405 });
        return new Response(method === "HEAD" ? null : bytes, { headers: server.headers ?? {} });
      };
      const load = async (next) => {
        [server, asked] = [next, []];
        const result = await kindOf(Classifier.load(url, { device: "cpu" }));
        return [...asked, result];
      };
      const length = { "content-length": "8" };
      const found = {
        first: await load({}),
        nothingSaid: await load({}),
        refused: await load({ refuses: ["HEAD"], headers: length }),
        sameLength: await load({ headers: length }),
        otherLength: await load({ headers: { "content-length": "9" } }),
        gone: await load({ refuses: ["HEAD", "GET"] }),
        offline: await load({ fails: ["HEAD", "GET"] }),
      };
      // A copy that the browser cannot read any more, and a cache that fails in all that it does.
      const match = Cache.prototype.match;
      Cache.prototype.match = async () => new Response(new ReadableStream({ pull: (stream) => stream.error(new TypeError("disk")) }), { headers: length });
      found.unreadable = await load({ headers: length });
      found.unreadableOffline = await load({ fails: ["HEAD", "GET"] });
      const failing = () => Promise.reject(new DOMException("disk", "UnknownError"));
      Object.assign(Cache.prototype, { match: failing, put: failing, delete: failing });
      found.failing = await load({});
      Cache.prototype.match = match;
      globalThis.fetch = fetched;
      const base = Object.assign(document.createElement("base"), { href: "/assets/models/" });
      document.head.append(base);
      found.base = await kindOf(Classifier.load(MODEL.split("/").at(-1), { device: "cpu", cache: false }));
      return found;
    });
    const { kind, message } = found.unreadableOffline.pop();
    assert.equal(kind, "network");
    assert.match(message, /models.example.model.safetensors: unreachable/);
    assert.deepEqual(found, {
      first: ["GET", "no error"], nothingSaid: ["HEAD", "GET", "no error"], refused: ["HEAD", "GET", "no error"],
      sameLength: ["HEAD", "no error"], otherLength: ["HEAD", "GET", "no error"], gone: ["HEAD", "GET", "no error"], offline: ["HEAD", "no error"],
      unreadable: ["HEAD", "GET", "no error"], unreadableOffline: ["HEAD", "GET"], failing: ["GET", "no error"], base: "no error",
    });
  });

  test("that breaks off, is nothing or no model, or is ended by the page says so, and is not kept", async () => {
    const found = await inPage(async () => {
      const fetched = globalThis.fetch;
      const answers = {
        broken: () => new Response(new ReadableStream({ pull: (stream) => stream.error(new TypeError("reset")) })),
        nothing: () => new Response(null, { status: 204 }),
        garbage: () => new Response("no model"),
      };
      globalThis.fetch = async (address, options) => {
        const name = Object.keys(answers).find((name) => String(address).endsWith(name));
        return name ? answers[name]() : fetched(address, options);
      };
      const found = {
        broken: await kindOf(Classifier.load("/broken")),
        nothing: await kindOf(Classifier.load("/nothing")),
        garbage: await kindOf(Classifier.load("/garbage")),
        kept: Boolean(await caches.match(new URL("/garbage", location).href)),
        ended: await kindOf(Classifier.load(MODEL, { cache: false, onProgress: () => { throw new RangeError("enough"); } })),
      };
      globalThis.fetch = fetched;
      return found;
    });
    assert.equal(found.broken.kind, "network");
    assert.match(found.broken.message, /broke off: reset/);
    assert.equal(found.nothing.kind, "network");
    assert.deepEqual([found.garbage.kind, found.kept], ["bad-model", false]);
    assert.match(found.ended, /untyped: RangeError: enough/);
  });
});

// Model files from the network: with progress, and kept in the browser's cache where they prove to be sound.

import { DynaconvError, typed } from "./error.js";

/** How long a server is waited for that is only asked whether a kept file has changed, in milliseconds. */
const PATIENCE = 3000;

/** The cache, where there is one: not in private windows of some browsers, nor outside of secure pages. */
async function openCache() {
  try {
    return await globalThis.caches?.open("dynaconv");
  } catch {
    return undefined;
  }
}

/**
 * The bytes at `url`, given to `use`; what that gives is the result. A file from the cache is used when the server says
 * that it is still the same, or cannot be reached; when it does not suit `use` it is fetched anew, once.
 */
export async function withModel(url, { onProgress, cache: wanted }, use) {
  const cache = wanted ? await openCache() : undefined;
  const kept = await cache?.match(url);
  if (kept && (await isCurrent(url, kept))) {
    try {
      return await use(await read(kept, onProgress));
    } catch (error) {
      if (typed(error).kind !== "bad-model") throw error;
      await cache.delete(url);
    }
  }
  // What the browser itself has kept of a file that has changed, or was spoilt, may be the old one.
  const response = await get(url, kept ? { cache: "no-cache" } : {});
  if (!response.ok || !response.body) throw new DynaconvError("network", `${url}: the server says ${response.status} ${response.statusText}`);
  const { headers } = response;
  const bytes = await read(response, onProgress);
  // The browser writes the file while it is put to use. A full disk is no reason to fail.
  const written = cache?.put(url, new Response(bytes, { headers })).catch(() => {});
  try {
    return await use(bytes);
  } catch (error) {
    await written;
    await cache?.delete(url);
    throw error;
  } finally {
    await written;
  }
}

async function get(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    throw new DynaconvError("network", `${url}: ${error.message}`, { cause: error });
  }
}

/**
 * Asks the server whether a kept file has changed. Servers of other sites seldom allow a condition, and some servers know neither
 * tag nor date: what all of them say of a file is then compared, as far as they say it.
 */
async function isCurrent(url, kept) {
  const [tag, date] = [kept.headers.get("etag"), kept.headers.get("last-modified")];
  if (new URL(url).origin !== globalThis.location?.origin || !(tag || date)) {
    try {
      const answer = await fetch(url, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      // What compresses an answer may say so of its tag.
      const said = (headers, name) => headers.get(name)?.replace(/^W\//, "");
      const differs = (name) => said(answer.headers, name) && said(kept.headers, name) && said(answer.headers, name) !== said(kept.headers, name);
      return !answer.ok || !["etag", "last-modified"].some(differs);
    } catch {
      return true;
    }
  }
  const headers = tag ? { "if-none-match": tag } : { "if-modified-since": date };
  try {
    const answer = await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    await answer.body?.cancel();
    return answer.status !== 200;
  } catch {
    return true;
  }
}

async function read(response, onProgress) {
  // A compressed answer is longer than its header says.
  const length = response.headers.get("content-encoding") ? null : response.headers.get("content-length");
  const total = length === null ? null : Number(length);
  const [parts, reader] = [[], response.body.getReader()];
  const next = async () => {
    try {
      return await reader.read();
    } catch (error) {
      throw new DynaconvError("network", `${response.url}: the download broke off: ${error.message}`, { cause: error });
    }
  };
  let loaded = 0;
  try {
    onProgress?.(0, total);
    for (let part = await next(); !part.done; part = await next()) {
      parts.push(part.value);
      loaded += part.value.length;
      onProgress?.(loaded, total);
    }
  } catch (error) {
    // What the page throws as it is told ends the download.
    reader.cancel().catch(() => {});
    throw error;
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

// Model files from the network: with progress, and kept in the browser's cache where they prove to be sound.

import { DynaconvError } from "./error.js";

/** How long a server is waited for that is only asked whether a kept file has changed, in milliseconds. */
const PATIENCE = 3000;

/** What a step of the cache's gives, or nothing: its failures, such as a full disk, are no reason to fail. */
async function attempt(step) {
  try {
    return await step();
  } catch {
    return undefined;
  }
}

/**
 * The bytes at `url`, given to `use`; what that gives is the result. A file from the cache is used where what the server says of it
 * is still the same, and where it cannot be had anew. A copy that cannot be read or does not suit `use` is fetched anew, once.
 */
export async function withModel(url, { onProgress, cache: wanted }, use) {
  // There is none in private windows of some browsers, nor outside of secure pages.
  const cache = wanted ? await attempt(() => globalThis.caches?.open("dynaconv")) : undefined;
  const forget = () => attempt(() => cache?.delete(url));
  let kept = await attempt(() => cache?.match(url));
  const useKept = async () => {
    const [copy] = [kept, (kept = undefined)];
    try {
      return { result: await use(await read(url, copy, onProgress)) };
    } catch (error) {
      if (!["network", "bad-model"].includes(error?.kind)) throw error;
      await forget();
      return undefined;
    }
  };
  const wasKept = Boolean(kept);
  const current = kept && (await isCurrent(url, kept)) ? await useKept() : undefined;
  if (current) return current.result;
  let file;
  try {
    // What the browser itself has kept of a file that has changed, or was spoilt, may be the old one.
    file = await download(url, wasKept ? { cache: "no-cache" } : {}, onProgress);
  } catch (error) {
    const old = kept && error?.kind === "network" ? await useKept() : undefined;
    if (!old) throw error;
    return old.result;
  }
  // The browser writes the file while it is put to use.
  const written = attempt(() => cache?.put(url, new Response(file.bytes, { headers: file.headers })));
  try {
    return await use(file.bytes);
  } catch (error) {
    await written;
    // Other faults say nothing of the file. What was there before may serve where there is no better one.
    if (error?.kind === "bad-model") await (kept ? attempt(() => cache.put(url, kept)) : forget());
    throw error;
  } finally {
    await written;
  }
}

async function download(url, options, onProgress) {
  const response = await get(url, options);
  if (!response.ok || !response.body) {
    throw new DynaconvError("network", `${url}: the server says ${response.status} ${response.statusText}`);
  }
  return { bytes: await read(url, response, onProgress), headers: response.headers };
}

async function get(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    throw new DynaconvError("network", `${url}: ${error.message}`, { cause: error });
  }
}

/**
 * Asks the server whether a kept file is still the same. Servers of other sites seldom allow a condition, and some servers know neither
 * tag nor date: what all of them say of a file is then compared, as far as they say it. A file of which nothing can be compared, or that
 * the server does not tell of, counts as another; one whose server cannot be reached is the same.
 */
async function isCurrent(url, kept) {
  const [tag, date] = [kept.headers.get("etag"), kept.headers.get("last-modified")];
  const ask = (options) => fetch(url, { ...options, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  try {
    if (new URL(url).origin !== globalThis.location?.origin || !(tag || date)) return isSame(await ask({ method: "HEAD" }), kept);
    const answer = await ask({ headers: tag ? { "if-none-match": tag } : { "if-modified-since": date } });
    await answer.body?.cancel();
    return answer.status !== 200;
  } catch {
    return true;
  }
}

/** Whether a server tells of the kept file: by all that both say of its tag, its date and its length. */
function isSame(answer, kept) {
  // What compresses an answer may say so of its tag, and says another length.
  const said = ({ headers }, name) => {
    if (name === "content-length" && headers.get("content-encoding")) return undefined;
    return headers.get(name)?.replace(/^W\//, "");
  };
  const pairs = ["etag", "last-modified", "content-length"].map((name) => [said(answer, name), said(kept, name)]);
  const known = pairs.filter(([now, then]) => now && then);
  return answer.ok && known.length > 0 && known.every(([now, then]) => now === then);
}

async function read(url, response, onProgress) {
  // A compressed answer is longer than its header says.
  const length = response.headers.get("content-encoding") ? null : response.headers.get("content-length");
  const total = length === null ? null : Number(length);
  const [parts, reader] = [[], response.body.getReader()];
  const next = async () => {
    try {
      return await reader.read();
    } catch (error) {
      throw new DynaconvError("network", `${url}: the download broke off: ${error.message}`, { cause: error });
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

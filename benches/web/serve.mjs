// A static server of several folders, which also counts what a page has fetched.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import zlib from 'node:zlib';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

/** Serves `roots` ({'/prefix/': folder}) on a free port. `fetched` holds the paths asked for since it was last emptied. */
export async function serve(roots) {
  const fetched = [];
  const prefixes = Object.keys(roots).sort((a, b) => b.length - a.length);
  const fileOf = (url) => {
    const prefix = prefixes.find((each) => url.startsWith(each));
    const file = path.join(roots[prefix], path.normalize(`/${url.slice(prefix.length)}`));
    return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ? file : undefined;
  };
  const server = http.createServer((request, response) => {
    const url = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    if (url === '/first-answer') {
      fetched.length = 0;
      response.end();
      return;
    }
    const file = fileOf(url);
    if (file) fetched.push(file);
    response.writeHead(file ? 200 : 404, {
      'content-type': TYPES[path.extname(file ?? '')] ?? 'application/octet-stream',
      'content-length': file ? fs.statSync(file).size : 0,
      // Cross-origin isolation: finer clocks, and threads for those who want them.
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'cache-control': 'no-store',
    });
    if (file) fs.createReadStream(file).pipe(response);
    else response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { origin: `http://localhost:${server.address().port}`, fetched, close: () => server.close() };
}

const sizes = new Map();

/** Bytes of a file, plain and as gzip makes them. */
export function sizeOf(file) {
  if (!sizes.has(file)) {
    const bytes = fs.readFileSync(file);
    sizes.set(file, { plain: bytes.length, gzip: zlib.gzipSync(bytes).length });
  }
  return sizes.get(file);
}

#!/usr/bin/env bash
# Serves the demo, web/, on this machine and prints its address. Usage: scripts/serve-web.sh [PORT], 8000 by default; 0 picks a free one
set -euo pipefail
cd "$(dirname "$0")/.."

port="${1:-8000}"
case "$port" in
'' | *[!0-9]*)
    echo "usage: scripts/serve-web.sh [PORT]" >&2
    exit 2
    ;;
esac
scripts/web-assets.sh
cd web
[ -f pkg/index.js ] || echo "web/pkg is missing: run scripts/build-web.sh first" >&2

# localhost only: WebGPU and the webcam need a secure page, which plain http from elsewhere is not.
if command -v python3 >/dev/null; then
    exec python3 -u - "$port" <<'PYTHON'
import contextlib
import http.server
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def end_headers(self):
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *args):
        pass

    def copyfile(self, source, outputfile):
        with contextlib.suppress(ConnectionError):  # the page ends downloads that it needs no more
            super().copyfile(source, outputfile)


try:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
except (OSError, OverflowError) as error:
    sys.exit(f"port {sys.argv[1]} cannot be used: {error}")
print(f"http://localhost:{server.server_address[1]}/")
try:
    server.serve_forever()
except KeyboardInterrupt:
    pass
PYTHON
elif command -v npx >/dev/null; then
    [ "$port" != 0 ] || { echo "without python3 a port must be named" >&2; exit 2; }
    echo "http://localhost:$port/"
    exec npx --yes http-server@14.1.1 . -a 127.0.0.1 -p "$port" -c-1 --silent
else
    echo "python3 or npx is needed to serve the page" >&2
    exit 2
fi

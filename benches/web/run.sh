#!/usr/bin/env bash
# Installs what the browser bench needs, makes the engines' models, and runs it. Usage: benches/web/run.sh [options of bench.mjs]
#   CHROMIUM   the browser [default: /usr/bin/chromium]
#   DYNACONV, PYTHON   as in benches/models.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
made=benches/made

command -v node >/dev/null || { echo "error: node is needed (version 20 or later)" >&2; exit 2; }
[ -x "${CHROMIUM:-/usr/bin/chromium}" ] || { echo "error: Chromium is needed: apt-get install chromium, or set CHROMIUM" >&2; exit 2; }

if [ ! -e benches/web/node_modules/.package-lock.json ] || [ benches/web/package-lock.json -nt benches/web/node_modules/.package-lock.json ]; then
    echo "== Installing the engines"
    (cd benches/web && npm ci --no-audit --no-fund)
fi

benches/models.sh

# Without the converted models LiteRT.js and TensorFlow.js fail by name, and the others go on. The one that is looked for is made last.
last=$made/models/mobilenet-v2-dcd.tfjs/model.json
if [ ! -e "$last" ] || [ "$made/models/mobilenet-v2-dcd.weights.safetensors" -nt "$last" ]; then
    echo "== Converting for LiteRT.js and TensorFlow.js"
    ready=$made/tensorflow/ready
    if [ ! -e "$ready" ] || [ benches/web/requirements.txt -nt "$ready" ]; then
        "${PYTHON:-python3}" -m venv "$made/tensorflow" &&
            "$made/tensorflow/bin/pip" install --quiet -r benches/web/requirements.txt &&
            touch "$ready" ||
            echo "TensorFlow cannot be installed: LiteRT.js and TensorFlow.js are left out" >&2
    fi
    "$made/tensorflow/bin/python" benches/web/convert_tensorflow.py "$made/models" ||
        echo "the conversion fails: LiteRT.js and TensorFlow.js are left out" >&2
fi

# Always: what is measured is the library as it stands.
echo "== Building dynaconv's package"
scripts/build-web.sh || {
    echo "the package cannot be built: dynaconv is left out" >&2
    rm -rf web/pkg
}

exec node benches/web/bench.mjs "$@"

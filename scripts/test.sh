#!/usr/bin/env bash
# Installs what the tests need on Debian or Ubuntu, then runs all that CI runs. Usage: scripts/test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

scripts/test-needs.sh

step "Formatting"
cargo fmt --check

step "Clippy"
cargo clippy --all-targets -- -D warnings
cargo clippy --all-targets --no-default-features -- -D warnings
cargo clippy --all-targets --no-default-features --features cli -- -D warnings
# The library without a GPU must also build for browsers.
if command -v rustup >/dev/null; then
    rustup target add wasm32-unknown-unknown >/dev/null 2>&1 || true
fi
if [ -d "$(rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
    cargo clippy --lib --no-default-features --target wasm32-unknown-unknown -- -D warnings
    cargo clippy --lib --no-default-features --features web --target wasm32-unknown-unknown -- -D warnings
    cargo clippy --package dynaconv-browser-suite --target wasm32-unknown-unknown -- -D warnings
else
    echo "this compiler has no wasm32 target; its clippy is left out"
fi

step "Documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --quiet

step "Tests"
cargo test

step "Tests without a GPU"
cargo test --no-default-features --features cli

step "In the browser"
scripts/test-web.sh

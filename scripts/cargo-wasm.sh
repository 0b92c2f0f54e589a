#!/usr/bin/env bash
# Runs cargo for browsers, into target/web. Usage: scripts/cargo-wasm.sh build|rustc [options of cargo]
#
# Needs Rust with the target wasm32-unknown-unknown: added with rustup here, or made of the distribution's packages by
# scripts/wasm-toolchain.sh where rustup cannot add it.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
out=target/web

has_target() { [ -d "$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/$target/lib" ]; }

if ! has_target && command -v rustup >/dev/null; then
    rustup target add $target || true
fi
if ! has_target; then
    echo "No $target through rustup; making it of the distribution's packages"
    scripts/wasm-toolchain.sh $out/toolchain
    export RUSTC=$PWD/$out/toolchain/bin/rustc
fi

# Every browser that has WebGPU has wasm's SIMD instructions.
RUSTFLAGS="-Ctarget-feature=+simd128" exec cargo "$@" --profile web --target $target --target-dir $out

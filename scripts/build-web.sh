#!/usr/bin/env bash
# Builds the browser package into web/pkg: an ES module with types and the library as wasm. Usage: scripts/build-web.sh
#
# Needs Rust with the target wasm32-unknown-unknown: added with rustup here, or made of the distribution's packages by
# scripts/wasm-toolchain.sh where rustup cannot add it. With npm at hand the result is made a little smaller.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
out=web/pkg
build=target/web

has_target() { [ -d "$("${RUSTC:-rustc}" --print sysroot)/lib/rustlib/$target/lib" ]; }

if ! has_target && command -v rustup >/dev/null; then
    rustup target add $target || true
fi
if ! has_target; then
    echo "No $target through rustup; making it of the distribution's packages"
    scripts/wasm-toolchain.sh $build/toolchain
    export RUSTC=$PWD/$build/toolchain/bin/rustc
fi

# Every browser that has WebGPU has wasm's SIMD instructions.
RUSTFLAGS="-Ctarget-feature=+simd128" cargo rustc --lib --crate-type cdylib --profile web --target $target \
    --no-default-features --features web --target-dir $build
env -u RUSTC cargo build --quiet --package dynaconv-bindgen

made=$build/package
rm -rf $made
mkdir -p $made
target/debug/dynaconv-bindgen $build/$target/web/dynaconv.wasm $made dynaconv
rm -f $made/dynaconv.d.ts $made/dynaconv_bg.wasm.d.ts
cp web/package/* $made/
cp LICENSE-APACHE LICENSE-MIT $made/

# The package on npm, without an install: it is used where it can be had.
smaller=$build/smaller.wasm
if command -v npx >/dev/null && npx --yes --package binaryen@132.0.0 -- \
    wasm-opt -O3 --strip-debug --strip-producers $made/dynaconv_bg.wasm -o $smaller 2>$build/wasm-opt.log; then
    mv $smaller $made/dynaconv_bg.wasm
else
    echo "wasm-opt could not be had from npm; the package works, but is a little larger"
fi

rm -rf $out
mv $made $out
printf '%s: %d bytes of wasm, %d compressed\n' $out "$(wc -c <$out/dynaconv_bg.wasm)" "$(gzip -9 <$out/dynaconv_bg.wasm | wc -c)"

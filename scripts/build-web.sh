#!/usr/bin/env bash
# Builds the browser package into web/pkg: an ES module with types and the library as wasm. Usage: scripts/build-web.sh
#
# Needs Rust; scripts/cargo-wasm.sh sees to its target for browsers. With npm at hand the result is made a little smaller.
set -euo pipefail
cd "$(dirname "$0")/.."

out=web/pkg
build=target/web

scripts/cargo-wasm.sh rustc --lib --crate-type cdylib --no-default-features --features web
cargo build --quiet --package dynaconv-bindgen

made=$build/package
rm -rf $made
mkdir -p $made
target/debug/dynaconv-bindgen $build/wasm32-unknown-unknown/web/dynaconv.wasm $made dynaconv
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

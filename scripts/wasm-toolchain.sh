#!/usr/bin/env bash
# Makes a Rust compiler for wasm32-unknown-unknown out of Debian's packages and the crate registry, where rustup cannot add
# the target. Usage: scripts/wasm-toolchain.sh FOLDER; then RUSTC=FOLDER/bin/rustc cargo build --target wasm32-unknown-unknown
#
# Nothing is installed system-wide. Needs apt's lists (apt-get update), dpkg, cargo, and the rust-lld of rustup's toolchain
# or of a package such as lld. Debian keeps a recent compiler as `rustc-web`, for the browsers that it builds; its standard
# library for wasm is built here from the sources of the same version.
set -euo pipefail
folder=${1:?usage: scripts/wasm-toolchain.sh FOLDER}
target=wasm32-unknown-unknown
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

fail() { echo "error: $*" >&2; exit 1; }

version=$(apt-cache policy rustc-web | sed -n 's/^ *Candidate: //p')
[ -n "$version" ] && [ "$version" != "(none)" ] || fail "apt knows no package rustc-web; run apt-get update, or use rustup"
minor=$(printf %s "$version" | sed -E 's/^([0-9]+\.[0-9]+).*/\1/')
done_mark=$folder/.made-$version
[ ! -e "$done_mark" ] || exit 0

lld=$(command -v rust-lld || command -v wasm-ld || true)
for sysroot in "$(env -u RUSTC rustc --print sysroot 2>/dev/null)"; do
    for found in "$sysroot"/lib/rustlib/*/bin/rust-lld; do [ -x "$found" ] && lld=$found; done
done
[ -n "$lld" ] || fail "no linker for wasm: neither rust-lld nor wasm-ld (package lld) is here"

# An older compiler, or one that was not finished, makes room; nothing else does.
if [ -n "$(ls -A "$folder")" ] && ! ls -d "$folder"/.made* >/dev/null 2>&1; then fail "$folder has other things in it"; fi
rm -rf "$folder"
mkdir -p "$folder"/{packages,bin,std/src}
touch "$folder/.made"
# The LLVM that this compiler was linked with.
llvm=$(apt-cache show "libstd-rust-web-$minor=$version" | sed -n 's/^Depends:.*\(libllvm[0-9][0-9]*\).*/\1/p' | head -1)
(cd "$folder/packages" &&
    apt-get download -q "rustc-web=$version" "libstd-rust-web-$minor=$version" "libstd-rust-web-dev=$version" \
        "rust-web-src=$version" "$llvm")
for package in "$folder"/packages/{rustc-web,libstd-rust-web,libllvm}*.deb; do dpkg -x "$package" "$folder"; done
dpkg-deb --fsys-tarfile "$folder"/packages/rust-web-src*.deb |
    tar -x -C "$folder" --wildcards './usr/src/rustc-*/library/*' './usr/lib/rustlib/src/*'
rm -rf "$folder/packages"

libraries=$(dirname "$(find "$folder/usr/lib" -name 'librustc_driver-*.so' | head -1)")
printf '#!/bin/sh\nLD_LIBRARY_PATH="%s:%s/usr/lib/%s${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "%s/usr/bin/rustc" "$@"\n' \
    "$libraries" "$folder" "$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)" "$folder" >"$folder/bin/rustc"
chmod +x "$folder/bin/rustc"
host=$("$folder/bin/rustc" -vV | sed -n 's/^host: //p')
mkdir -p "$folder/usr/lib/rustlib/$host/bin"
ln -sfn "$lld" "$folder/usr/lib/rustlib/$host/bin/rust-lld"

cat >"$folder/std/Cargo.toml" <<'TOML'
[package]
name = "std-for-wasm"
version = "0.0.0"
edition = "2021"

[workspace]

[profile.release]
opt-level = 3
codegen-units = 1
panic = "abort"
TOML
: >"$folder/std/src/lib.rs"
# Building std is not stable, and link-time optimisation needs its bitcode.
(cd "$folder/std" && RUSTC="$folder/bin/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
    cargo build --quiet --release -Z build-std=std,panic_abort,proc_macro --target $target --target-dir target)
library=$folder/usr/lib/rustlib/$target/lib
rm -rf "$library"
mkdir -p "$library"
cp "$folder"/std/target/$target/release/deps/lib*.rlib "$library/"
rm -rf "$library"/libstd_for_wasm-*.rlib "$folder/std"
touch "$done_mark"

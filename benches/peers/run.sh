#!/usr/bin/env bash
# Installs native engines and runs them beside dynaconv on the same networks. Usage: benches/peers/run.sh [options of compare.py]
set -euo pipefail
cd "$(dirname "$0")/../.."
made=benches/made

benches/models.sh

# ncnn's own format, from the ONNX files, by ncnn's converter. What one engine lacks must not stop the others.
for network in mobilenet-v2 mobilenet-v2-dcd; do
    files=$made/models/$network
    if [ ! -e "$files.ncnn.bin" ]; then
        echo "== Converting $network for ncnn"
        "$made/torch/bin/pnnx" "$files.onnx" "inputshape=[1,3,224,224]" fp16=0 \
            ncnnparam="$files.ncnn.param" ncnnbin="$files.ncnn.bin" ncnnpy="$files.ncnn.py" pnnxparam="$files.pnnx.param" \
            pnnxbin="$files.pnnx.bin" pnnxpy="$files.pnnx.py" pnnxonnx="$files.pnnx.onnx" >/dev/null ||
            echo "pnnx cannot convert $network: ncnn is left out"
    fi
done

# burn's importer writes the networks as Rust code: the program has both compiled in.
echo "== Building burn's program"
MODELS=$PWD/$made/models CARGO_TARGET_DIR=$made/burn \
    cargo build --release --locked --manifest-path benches/peers/burn/Cargo.toml || {
    # An older program is not what would be measured.
    rm -f "$made/burn/release/burn-bench"
    echo "cargo cannot build benches/peers/burn: burn is left out"
}

exec "$made/torch/bin/python" benches/peers/compare.py --dynaconv "${DYNACONV:-target/release/dynaconv}" "$@"

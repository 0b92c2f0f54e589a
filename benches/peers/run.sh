#!/usr/bin/env bash
# Installs native engines and runs them beside dynaconv on the same networks. Usage: benches/peers/run.sh [options of compare.py]
set -euo pipefail
cd "$(dirname "$0")/../.."
made=benches/made

benches/models.sh

# What one engine lacks must not stop the others. Nothing is fetched that is there.
echo "== Installing the engines"
for engine in onnxruntime ncnn pnnx; do
    "$made/torch/bin/pip" install --quiet -c benches/peers/requirements.txt $engine || echo "$engine cannot be installed: it is left out"
done

# ncnn's own format, from the ONNX files, by ncnn's converter; the file that is looked for is moved last.
for network in mobilenet-v2 mobilenet-v2-dcd; do
    files=$made/models/$network
    if [ ! -e "$files.ncnn.bin" ] || [ "$files.onnx" -nt "$files.ncnn.bin" ]; then
        echo "== Converting $network for ncnn"
        new=$files.ncnn.new
        rm -rf "$new" "$files".ncnn.{param,bin}
        mkdir "$new"
        "$made/torch/bin/pnnx" "$files.onnx" "inputshape=[1,3,224,224]" fp16=0 \
            ncnnparam="$new/param" ncnnbin="$new/bin" ncnnpy="$new/ncnn.py" \
            pnnxparam="$new/pnnx.param" pnnxbin="$new/pnnx.bin" pnnxpy="$new/pnnx.py" pnnxonnx="$new/pnnx.onnx" >/dev/null &&
            mv "$new/param" "$files.ncnn.param" && mv "$new/bin" "$files.ncnn.bin" ||
            echo "pnnx cannot convert $network: ncnn is left out"
        rm -rf "$new"
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

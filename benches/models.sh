#!/usr/bin/env bash
# Makes the networks that engines are compared on, in benches/made/models: ONNX files, checkpoints, and dynaconv's model files.
# What is there already is kept. Usage: benches/models.sh
#   DYNACONV   the program [default: target/release/dynaconv, which is built]
#   PYTHON     the Python that makes the environments [default: python3]
set -euo pipefail
cd "$(dirname "$0")/.."
made=benches/made
dynaconv=${DYNACONV:-target/release/dynaconv}

ready=$made/torch/ready
if [ ! -e "$ready" ] || [ training/requirements.txt -nt "$ready" ] || [ benches/peers/requirements.txt -nt "$ready" ]; then
    echo "== Installing PyTorch"
    "${PYTHON:-python3}" -m venv "$made/torch"
    "$made/torch/bin/pip" install --quiet -r training/requirements.txt -c benches/peers/requirements.txt onnx onnxscript
    touch "$ready"
fi

if [ ! -e "$made/models/mobilenet-v2-dcd.scores.npy" ]; then
    echo "== Writing the networks"
    "$made/torch/bin/python" training/export_onnx.py --out "$made/models"
fi

# Always: what is measured is the library as it stands.
if [ -z "${DYNACONV:-}" ]; then
    echo "== Building dynaconv"
    cargo build --release
fi

for network in mobilenet-v2 mobilenet-v2-dcd; do
    model=$made/models/$network.safetensors
    if [ ! -e "$model" ] || [ "$made/models/$network.pth.tar" -nt "$model" ]; then
        "$dynaconv" import "$made/models/$network.pth.tar" --input-size 224 --output "$model"
    fi
done

#!/usr/bin/env bash
# Makes the networks that engines are compared on, in benches/work/models: ONNX files, checkpoints, and dynaconv's model files.
# What is there already is kept. Usage: benches/models.sh
#   DYNACONV   the program [default: target/release/dynaconv, built if it is not there]
#   PYTHON     the Python that makes the environments [default: python3]
set -euo pipefail
cd "$(dirname "$0")/.."
work=benches/work
dynaconv=${DYNACONV:-target/release/dynaconv}

if [ ! -e "$work/torch/ready" ]; then
    echo "== Installing PyTorch and the native engines"
    "${PYTHON:-python3}" -m venv "$work/torch"
    "$work/torch/bin/pip" install --quiet -r training/requirements.txt -r benches/peers/requirements.txt
    touch "$work/torch/ready"
fi

if [ ! -e "$work/models/mobilenet-v2-dcd.scores.npy" ]; then
    echo "== Writing the networks"
    "$work/torch/bin/python" training/export_onnx.py --out "$work/models"
fi

if [ ! -x "$dynaconv" ] && [ -z "${DYNACONV:-}" ]; then
    echo "== Building dynaconv"
    cargo build --release
fi

for network in mobilenet-v2 mobilenet-v2-dcd; do
    model=$work/models/$network.safetensors
    if [ ! -e "$model" ] || [ "$work/models/$network.pth.tar" -nt "$model" ]; then
        "$dynaconv" import "$work/models/$network.pth.tar" --input-size 224 --output "$model"
    fi
done

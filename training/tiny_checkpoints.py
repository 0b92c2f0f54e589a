"""Small checkpoints with generated weights for the importer's tests, and two that must be refused.

    python tiny_checkpoints.py --out ../assets/golden          the small files, committed
    python tiny_checkpoints.py --full FOLDER                   the x1.0 network in both forms, input and logits, for acceptance

The pickles named ``malicious`` ask their reader to call a function that creates a file. An importer that only interprets the few
opcodes and names a state dict needs refuses them; one that unpickles runs the call. Never load them with ``weights_only=False``.
"""

from __future__ import annotations

import argparse
import builtins
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from checkpoint import write
from dcd import MobileNetV2DCD
from generator import fill, tensor

FORBIDDEN_FILE = "dynaconv-executed-a-pickle"


class Malicious:
    """Pickles to ``open(FORBIDDEN_FILE, "w")``."""

    def __reduce__(self) -> tuple:
        return builtins.open, (FORBIDDEN_FILE, "w")


def malicious(path: Path, legacy: bool) -> None:
    saved = {"state_dict": {"module.features.0.0.weight": torch.zeros(2), "module.extra": Malicious()}}
    torch.save(saved, path, _use_new_zipfile_serialization=not legacy)


@torch.no_grad()
def tiny(out: Path) -> None:
    model = fill(MobileNetV2DCD(classes=10, width=0.1, fc_squeeze=16))
    write(out / "tiny_legacy.pth.tar", model, legacy=True, optimizer_buffers=3)
    write(out / "tiny_zip.pth.tar", model, legacy=False, prefix="", classifier=0)
    inputs = tensor("input", (2, 3, 32, 32))
    logits = model.double()(inputs.double()).float()
    save_file({"input": inputs, "logits": logits}, out / "tiny_checkpoints.safetensors")
    malicious(out / "malicious_legacy.pth.tar", legacy=True)
    malicious(out / "malicious_zip.pth.tar", legacy=False)


@torch.no_grad()
def full(folder: Path) -> None:
    model = fill(MobileNetV2DCD(classes=1000, width=1.0, fc_squeeze=16))
    write(folder / "official_legacy.pth.tar", model, legacy=True)
    write(folder / "official_zip.pth.tar", model, legacy=False, prefix="", classifier=0)
    inputs = tensor("input", (2, 3, 224, 224))
    np.save(folder / "official_input.npy", inputs.numpy())
    np.save(folder / "official_logits.npy", model(inputs).numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for the small files")
    parser.add_argument("--full", type=Path, help="folder for the full-size files")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        tiny(options.out)
    if options.full:
        full(options.full)


if __name__ == "__main__":
    main()

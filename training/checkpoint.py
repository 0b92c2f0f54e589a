"""Checkpoints in the official file layout, old and new: what a real user will hand to the engine's importer.

The released files are legacy pickle streams with ``module.`` before every key, CUDA tags on every tensor and the classifier at index
1 (dropout before it); a file saved by a current PyTorch is a zip, and without dropout the classifier has index 0.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor, nn


def official_state(model: nn.Module, prefix: str = "module.", classifier: int = 1) -> OrderedDict[str, Tensor]:
    """State dict in the official order; our networks keep their classifier at index 1."""
    state = OrderedDict()
    for name, value in model.state_dict().items():
        state[prefix + name.replace("classifier.1.", f"classifier.{classifier}.", 1)] = value.contiguous()
    return state


def optimizer_entry(model: nn.Module, buffers: int) -> dict:
    """An SGD entry as training leaves it, with momentum for the first few parameters only (to keep test files small)."""
    parameters = list(model.parameters())
    state = {i: {"momentum_buffer": torch.zeros_like(p)} for i, p in enumerate(parameters[:buffers])}
    group = {"lr": 0.1, "momentum": 0.9, "dampening": 0, "weight_decay": 2e-5, "nesterov": False}
    return {"state": state, "param_groups": [{**group, "params": list(range(len(parameters)))}]}


def write(
    path: Path,
    model: nn.Module,
    *,
    legacy: bool,
    prefix: str = "module.",
    classifier: int = 1,
    arch: str = "mobilenetv2_dcd",
    epoch: int = 300,
    best: float = 0.0,
    optimizer_buffers: int = 0,
) -> None:
    """Write one checkpoint. Legacy files carry the tag ``cuda:0`` as the released ones do (nothing needs a GPU for that)."""
    saved = {
        "epoch": epoch,
        "arch": arch,
        "state_dict": official_state(model, prefix, classifier),
        "best_prec1": best,
        "optimizer": optimizer_entry(model, optimizer_buffers),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    if legacy:
        with mock.patch("torch.serialization.location_tag", lambda storage: "cuda:0"):
            torch.save(saved, path, _use_new_zipfile_serialization=False)
    else:
        torch.save(saved, path)

"""Seeded tensors that Python and Rust compute alike, so that the golden files need not store weights.

    u(name, i)  = (splitmix64(fnv1a64(name as UTF-8) + i) >> 40) / 2^24            in [0, 1), 24 bits, exact in f32
    fnv1a64:      h = 0xcbf29ce484222325; for every byte: h = (h xor byte) * 0x100000001b3
    splitmix64:   z = x + 0x9E3779B97F4A7C15; z = (z xor z >> 30) * 0xBF58476D1CE4E5B9;
                  z = (z xor z >> 27) * 0x94D049BB133111EB; z xor z >> 31

All integer arithmetic wraps at 64 bits; i is the element's index in row-major order. The name is the tensor's name in the network
below (never with ``module.``; the classifier of MobileNetV2 is always named ``classifier.1.*``, whatever a file calls it). The
value is computed from u in f64, in the order written, and rounded once to f32:

    name ends in   running_mean           (2u - 1) * 0.2
                   running_var            0.5 + u
                   num_batches_tracked    0 (i64 scalar; no draw)
                   bias                   (2u - 1) * 0.2
                   weight, one dimension  0.5 + u
                   weight, otherwise      (2u - 1) * sqrt(3 / fan_in) * gain,  fan_in = product of shape[1:]
    gain: the first of these that occurs in the name: ".fc.0." 0.5 (the self-gate ".fc.1.fc.0." too), ".fc_scale." 1.5,
                   ".fc_phi." 0.5, ".conv_q." 0.5, ".cls_q." 0.5, ".conv_p." 0.5, ".cls_p." 0.5, "classifier." 1, "_fc." 1;
                   otherwise 1.2
    input          (2u - 1) * 2, name "input", NCHW
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

MASK = (1 << 64) - 1


def fnv1a64(name: str) -> int:
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def uniform(name: str, count: int) -> np.ndarray:
    """u(name, 0..count) as f64."""
    with np.errstate(over="ignore"):
        z = np.uint64(fnv1a64(name)) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 2.0**24


GAINS = {
    ".fc.0.": 0.5,
    ".fc_scale.": 1.5,
    ".fc_phi.": 0.5,
    ".conv_q.": 0.5,
    ".cls_q.": 0.5,
    ".conv_p.": 0.5,
    ".cls_p.": 0.5,
    "classifier.": 1.0,
    "_fc.": 1.0,
}


def gain(name: str) -> float:
    """The first entry that occurs in the name; ``.fc.0.`` also matches the self-gate ``.fc.1.fc.0.``."""
    return next((value for part, value in GAINS.items() if part in name), 1.2)


def tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor of this name by the rules above."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0, dtype=torch.int64)
    u = uniform(name, math.prod(shape))
    if name == "input":
        values = (2 * u - 1) * 2
    elif name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
        values = 0.5 + u
    elif name.endswith(("running_mean", "bias")):
        values = (2 * u - 1) * 0.2
    else:
        values = (2 * u - 1) * math.sqrt(3 / math.prod(shape[1:])) * gain(name)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def fill(model: nn.Module) -> nn.Module:
    """Give every parameter and buffer of the network its generated value; evaluation mode."""
    model.load_state_dict({name: tensor(name, tuple(value.shape)) for name, value in model.state_dict().items()})
    return model.eval()

"""Check that the folded forward pass answers and learns like the plain one; exits with 1 where it does not.

    python check_folded.py MODEL.safetensors ...
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from folded import folded
from networks import load_parent

SIZES = (128, 97, 32)  # maps with equal bins, with overlapping ones, and of a single pixel
TOLERANCE = 5e-3  # of a gradient's norm: relu6 is cut where rounding decides


def answer_and_gradients(model: nn.Module, answer: Callable[[Tensor], Tensor], inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    outputs = answer(inputs)
    F.cross_entropy(outputs, torch.arange(len(inputs))).backward()
    return outputs.detach(), {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def main() -> None:
    torch.manual_seed(1)
    agrees = True
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for path in map(Path, sys.argv[1:]):
        model = load_parent(path)[1].to(memory_format=torch.channels_last).eval()
        for size in SIZES:
            inputs = torch.randn(3, 3, size, size).contiguous(memory_format=torch.channels_last)
            expected, plain = answer_and_gradients(model, model, inputs)
            found, gradients = answer_and_gradients(model, lambda x: folded(model, x), inputs)
            answers = float((expected - found).abs().max() / expected.abs().max())
            learning = [float((plain[name] - gradients[name]).norm() / (plain[name].norm() + 1e-12)) for name in plain]
            agrees &= answers < 1e-4 and all(difference < TOLERANCE for difference in learning)
            print(f"{path.name} at {size}: answers differ by {answers:.1e} of the largest, gradients by at most {max(learning):.1e} of their norms")
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()

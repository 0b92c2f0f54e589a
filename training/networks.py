"""The trained networks by name, their ablations, and the measures shared by training and evaluation."""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from data import enlarge
from dcd import MobileNetV2DCD
from mobilenet_v2 import MobileNetV2

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
ABLATIONS = {"phi=0": "fc_phi", "lambda=1": "fc_scale"}


def build(kind: str, classes: int = len(CLASSES)) -> MobileNetV2:
    """``dcd`` by the official layer rules (fc_squeeze 16) or its ``static`` twin, both at width 1."""
    return MobileNetV2DCD(classes, 1.0, 16) if kind == "dcd" else MobileNetV2(classes, 1.0)


def load_parent(path: Path) -> tuple[str, MobileNetV2]:
    """A trained network and its kind: the ``KIND.pt`` of a training, or a model file of dynaconv."""
    state = load_file(path) if path.suffix == ".safetensors" else torch.load(path)["state_dict"]
    kind = "dcd" if any("fc_phi" in name for name in state) else "static"
    model = build(kind)
    counters = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    model.load_state_dict(counters | {name: value.float() for name, value in state.items()})
    return kind, model


def ablated(model: nn.Module, head: str) -> nn.Module:
    """The same network with one output of every dynamic branch silenced (Phi = 0, or lambda = gate(0) = 1)."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in changed.named_parameters():
            if name.endswith(f"{head}.weight"):
                parameter.zero_()
    return changed


@torch.no_grad()
def frozen(model: nn.Module, head: str, images: Tensor, size: int) -> nn.Module:
    """The same network with one output of every branch fixed to its mean over ``images``: what the dependence on the picture is worth.

    Silencing a head also removes its constant part; this ablation keeps that part, so it is the one that speaks of dynamics.
    """
    changed = copy.deepcopy(model).eval()
    modules = [m for name, m in changed.named_modules() if name.endswith(head)]
    means: dict[nn.Module, Tensor] = {}
    handles = [m.register_forward_hook(lambda m, args, out: means.update({m: out.mean(0, keepdim=True)})) for m in modules]
    changed(enlarge(images, size))
    for handle in handles:
        handle.remove()
    for module in modules:
        module.register_forward_hook(lambda m, args, out: means[m].expand_as(out))
    return changed


@torch.no_grad()
def true_statistics(model: nn.Module, images: Tensor, size: int, batch: int = 64) -> None:
    """Replace all running statistics by plain means over ``images``: averaged weights need statistics of their own."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    model.train()
    for chunk in images.split(batch):
        model(enlarge(chunk, size))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    model.eval()


@torch.no_grad()
def logits(model: nn.Module, images: Tensor, size: int, batch: int = 100) -> Tensor:
    """Outputs for uint8 pictures (already at ``size``, or enlarged here)."""
    model.eval()
    return torch.cat([model(enlarge(chunk, size)) for chunk in images.split(batch)])


def top1(outputs: Tensor, labels: Tensor) -> float:
    return float((outputs.argmax(1) == labels).double().mean())

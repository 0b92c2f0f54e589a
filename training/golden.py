"""Golden outputs for the engine's tests: networks with generated weights (see generator.py), run in float64.

    python golden.py --out ../assets/golden

writes <case>.safetensors with ``logits`` (for two cases also the input and a few inner maps) and cases.json, which describes every
case. Neither weights nor large inputs are stored: the generator gives them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dcd import DynamicClassifier, DynamicConv, MobileNetV2DCD, gate
from efficientnet_lite0 import EfficientNetLite0
from generator import fill, fnv1a64, tensor, uniform
from mobilenet_v2 import MobileNetV2


@dataclass
class Case:
    name: str
    network: str  # mobilenet_v2, mobilenet_v2_dcd or efficientnet_lite0
    input_size: int
    classes: int = 1000
    batch: int = 1
    width: float = 1.0
    fc_squeeze: int | None = None
    stem_stride: int = 2
    maps: tuple[str, ...] = ()  # modules whose outputs are stored; a dynamic one also gives <name>.phi and <name>.lambda
    parameters: int = 0


CASES = [
    Case("mobilenet_v2_100_224", "mobilenet_v2", 224),
    Case("mobilenet_v2_050_75", "mobilenet_v2", 75, width=0.5),
    Case("dcd_100_224", "mobilenet_v2_dcd", 224, batch=2, fc_squeeze=16),
    Case("dcd_035_96", "mobilenet_v2_dcd", 96, width=0.35, fc_squeeze=8),
    Case(
        "dcd_050_32_stem1", "mobilenet_v2_dcd", 32, classes=10, batch=3, width=0.5, fc_squeeze=16, stem_stride=1,
        maps=("features.0", "features.1", "features.2.conv.0", "features.2", "features.3.conv.6", "features.17.conv.0",
              "features.17", "classifier.1"),
    ),
    Case("dcd_100_97", "mobilenet_v2_dcd", 97, classes=10, fc_squeeze=16),
    Case("efficientnet_lite0_96", "efficientnet_lite0", 96, maps=("_blocks.0", "_blocks.1", "_blocks.3", "_blocks.15")),
    Case("efficientnet_lite0_224", "efficientnet_lite0", 224),
]


def build(case: Case) -> nn.Module:
    if case.network == "efficientnet_lite0":
        return EfficientNetLite0(case.classes)
    if case.network == "mobilenet_v2":
        return MobileNetV2(case.classes, case.width, case.stem_stride)
    return MobileNetV2DCD(case.classes, case.width, case.fc_squeeze, case.stem_stride)


def record(model: nn.Module, names: tuple[str, ...], kept: dict[str, Tensor]) -> None:
    """Keep the outputs of the named modules, and Phi and lambda of those that are dynamic."""

    def hook(name: str):
        def keep(module: nn.Module, args: tuple[Tensor], out: Tensor) -> None:
            kept[name] = out.clone()
            if isinstance(module, (DynamicConv, DynamicClassifier)):
                y = module.fc(module.pooled(args[0]) if isinstance(module, DynamicConv) else args[0])
                kept[f"{name}.phi"] = module.fc_phi(y).view(-1, module.latent, module.latent)
                kept[f"{name}.lambda"] = gate(module.fc_scale(y))

        return keep

    for name in names:
        model.get_submodule(name).register_forward_hook(hook(name))


@torch.no_grad()
def run(case: Case) -> dict[str, Tensor]:
    model = fill(build(case)).double()
    case.parameters = sum(p.numel() for p in model.parameters())
    inputs = tensor("input", (case.batch, 3, case.input_size, case.input_size))
    kept: dict[str, Tensor] = {}
    record(model, case.maps, kept)
    kept["logits"] = model(inputs.double())
    stored = {name: value.float().contiguous() for name, value in kept.items()}
    if case.maps and case.input_size == 32:
        stored["input"] = inputs
    return stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    cases = []
    for case in CASES:
        stored = run(case)
        save_file(stored, options.out / f"{case.name}.safetensors")
        cases.append({**asdict(case), "maps": sorted(set(stored) - {"logits", "input"}), "input_stored": "input" in stored})
        print(case.name, case.parameters, "logits", tuple(stored["logits"].shape), float(stored["logits"].std()))
    weight = tensor("features.0.0.weight", (32, 3, 3, 3)).flatten()
    description = {
        "generator": {
            "rules": "see training/generator.py",
            "fnv1a64(input)": f"{fnv1a64('input'):#018x}",
            "u(input, 0..4)": uniform("input", 4).tolist(),
            "features.0.0.weight [32,3,3,3] first 4": weight[:4].tolist(),
        },
        "computed": "float64 from the f32 weights and inputs, stored as f32; evaluation mode",
        "cases": cases,
    }
    (options.out / "cases.json").write_text(json.dumps(description, indent=1) + "\n")


if __name__ == "__main__":
    main()

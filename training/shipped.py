"""What the networks of assets/models say of the pictures in assets/pictures, computed by PyTorch in float64 from Pillow's pixels.

    python shipped.py --assets ../assets

writes assets/golden/shipped.safetensors: for each ``model/picture`` the probabilities of all classes. Network and preparation are
what a model file's own description says.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dcd import MobileNetV2DCD
from efficientnet_lite0 import EfficientNetLite0
from mobilenet_v2 import MobileNetV2

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def build(kind: str, classes: int, width: float = 1.0, fc_squeeze: int = 0, stem_stride: int = 2, **_: int) -> nn.Module:
    if kind == "efficientnet_lite0":
        return EfficientNetLite0(classes)
    if kind == "mobilenet_v2":
        return MobileNetV2(classes, width, stem_stride)
    return MobileNetV2DCD(classes, width, fc_squeeze, stem_stride)


def load(path: Path) -> tuple[nn.Module, dict]:
    with safe_open(path, "pt") as file:
        description = json.loads(file.metadata()["dynaconv"])
        state = {name: file.get_tensor(name) for name in file.keys()}
    model = build(**description["architecture"])
    counters = {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}
    model.load_state_dict(counters | {name: value.double() for name, value in state.items()})
    return model.eval().double(), description


def prepare(path: Path, resize: int, crop: int, filter: str, mean: list[float], std: list[float]) -> Tensor:
    """Shorter side to ``resize``, the other rounded down; the centre, rounded to even; [1, 3, crop, crop]."""
    picture = Image.open(path).convert("RGB")
    short = min(picture.size)
    picture = picture.resize(tuple(resize * side // short for side in picture.size), FILTERS[filter])
    left, top = (round((side - crop) / 2) for side in picture.size)
    pixels = np.asarray(picture.crop((left, top, left + crop, top + crop)), dtype=np.float64) / 255
    return torch.from_numpy((pixels - mean) / std).permute(2, 0, 1).unsqueeze(0)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True)
    assets = parser.parse_args().assets
    torch.set_num_threads(1)
    stored = {}
    for path in sorted((assets / "models").glob("*.safetensors")):
        model, description = load(path)
        for picture in sorted((assets / "pictures").glob("*.jpg")):
            probabilities = model(prepare(picture, **description["preprocess"])).softmax(1)[0]
            stored[f"{path.stem}/{picture.name}"] = probabilities.float()
            best = int(probabilities.argmax())
            print(path.stem, picture.name, description["labels"][best], round(float(probabilities[best]), 4))
    save_file(stored, assets / "golden" / "shipped.safetensors")


if __name__ == "__main__":
    main()

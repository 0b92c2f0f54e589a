"""The networks that engines are compared on: MobileNetV2 and MobileNetV2-DCD with generated weights, for every engine alike.

    python export_onnx.py --out FOLDER [--width 1.0] [--input 224] [--classes 1000] [--fc-squeeze 16]

For each network, <name> being mobilenet-v2 or mobilenet-v2-dcd, it writes

    <name>.onnx           batch 1, input ``input`` [1, 3, H, W], output ``scores``; the dynamic layers in the form their authors run
    <name>.pth.tar        the checkpoint in the official layout, which ``dynaconv import`` reads
    <name>.weights.safetensors   the same tensors by name, for converters that know neither of the two
    <name>.scores.npy     what PyTorch computes in float64 for input.npy: nobody is timed on wrong answers

and input.npy. Weights and input come from generator.py, so two machines compare the same networks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from checkpoint import official_state, write
from dcd import DynamicClassifier, DynamicConv, gate
from generator import fill, tensor
from mobilenet_v2 import MobileNetV2, last_channels


class AuthorsDynamicConv(DynamicConv):
    """The dynamic convolution with the operators of the authors' own forward pass: [L, L] by [L, pixels], channels first."""

    def pooled(self, x: Tensor) -> Tensor:
        """Two adaptive bins along an axis of n are windows of ceil(n/2), floor(n/2) apart: overlapping for odd n, and exportable."""
        if self.pool == 1:
            return x.mean((2, 3))
        height, width = x.shape[2:]
        window = (height - height // 2, width - width // 2)
        return F.avg_pool2d(x, window, (height // 2, width // 2)).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        y = self.fc(self.pooled(x))
        phi = self.fc_phi(y).view(n, self.latent, self.latent)
        scale = gate(self.fc_scale(y)).view(n, -1, 1, 1)
        z = self.bn1(self.conv_q(x))
        mixed = torch.matmul(phi, z.reshape(n, self.latent, -1)).view(n, self.latent, height, width)
        return scale * self.conv(x) + self.conv_p(self.bn2(mixed) + z)


def networks(options: argparse.Namespace) -> dict[str, tuple[str, nn.Module]]:
    """Each network by name, with what the authors call its architecture."""
    width, classes, squeeze = options.width, options.classes, options.fc_squeeze
    dynamic = MobileNetV2(
        classes,
        width,
        make=lambda inp, oup: AuthorsDynamicConv(inp, oup, squeeze),
        classifier=DynamicClassifier(last_channels(width), classes),
    )
    return {"mobilenet-v2": ("mobilenetv2", MobileNetV2(classes, width)), "mobilenet-v2-dcd": ("mobilenetv2_dcd", dynamic)}


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--input", type=int, default=224)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--fc-squeeze", type=int, default=16)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    picture = tensor("input", (1, 3, options.input, options.input))
    np.save(options.out / "input.npy", picture.numpy())
    for name, (architecture, model) in networks(options).items():
        fill(model)
        write(options.out / f"{name}.pth.tar", model, legacy=False, arch=architecture)
        save_file(official_state(model, prefix=""), options.out / f"{name}.weights.safetensors")
        torch.onnx.export(
            model,
            (picture,),
            options.out / f"{name}.onnx",
            input_names=["input"],
            output_names=["scores"],
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        scores = model.double()(picture.double())
        np.save(options.out / f"{name}.scores.npy", scores.float().numpy())
        print(f"{name}: scores of deviation {float(scores.std()):.3f}, in {options.out}", flush=True)


if __name__ == "__main__":
    main()

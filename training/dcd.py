"""Dynamic convolution by matrix decomposition (DCD, arXiv 2103.08756), re-implemented from its formulas.

A dynamic 1x1 convolution computes, per picture,

    out = lambda * (W0 x) + P [BN2(Phi z) + z],   z = BN1(Q x),

where lambda (one gate per output channel, 0..2, 1 at rest) and Phi (a full L x L matrix) come from the pooled input. Names and
order of the parameters are those of the released checkpoints, so that a trained network here is read like an official one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobilenet_v2 import MobileNetV2, last_channels


def gate(u: Tensor) -> Tensor:
    """relu6(u + 3) / 3: in [0, 2] and exactly 1 at u = 0, so an untrained branch leaves its layer alone."""
    return F.relu6(u + 3.0) / 3.0


class SelfGate(nn.Module):
    """y -> y * gate(A y): the only non-linearity inside the branch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(width, width, bias=False))

    def forward(self, y: Tensor) -> Tensor:
        return y * gate(self.fc(y))


def branch(inp: int, squeeze: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inp, squeeze, bias=False), SelfGate(squeeze))


def latent_width(inp: int, oup: int) -> int:
    """L: halve the candidate until L^2 is at most twice the pooled input, never below 4."""
    pooled, ratio = (4 * inp, 8) if inp < oup else (inp, 2)
    width = min(pooled // ratio, oup // ratio)
    while width * width > 2 * pooled:
        ratio *= 2
        width = min(pooled // ratio, oup // ratio)
    return max(width, 4)


class DynamicConv(nn.Module):
    """The dynamic 1x1 convolution. Expanding layers (inp < oup) pool to 2x2, all others to 1x1."""

    def __init__(self, inp: int, oup: int, fc_squeeze: int) -> None:
        super().__init__()
        self.pool = 2 if inp < oup else 1
        self.latent = latent = latent_width(inp, oup)
        pooled = inp * self.pool**2
        squeeze = max(max(pooled, latent * latent) // fc_squeeze, 4)
        self.conv = nn.Conv2d(inp, oup, 1, bias=False)
        self.conv_q = nn.Conv2d(inp, latent, 1, bias=False)
        self.fc = branch(pooled, squeeze)
        self.fc_phi = nn.Linear(squeeze, latent * latent, bias=False)
        self.fc_scale = nn.Linear(squeeze, oup, bias=False)
        self.conv_p = nn.Conv2d(latent, oup, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(latent)
        self.bn2 = nn.BatchNorm2d(latent)

    def pooled(self, x: Tensor) -> Tensor:
        """Mean over each bin, channel-major then row then column."""
        return x.mean((2, 3)) if self.pool == 1 else F.adaptive_avg_pool2d(x, 2).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        y = self.fc(self.pooled(x))
        phi = self.fc_phi(y).view(n, self.latent, self.latent)
        scale = gate(self.fc_scale(y)).view(n, -1, 1, 1)
        z = self.bn1(self.conv_q(x))
        # pixels x channels, so that the product stays in channels-last memory
        mixed = torch.bmm(z.permute(0, 2, 3, 1).reshape(n, h * w, self.latent), phi.transpose(1, 2))
        mixed = mixed.view(n, h, w, self.latent).permute(0, 3, 1, 2)
        return scale * self.conv(x) + self.conv_p(self.bn2(mixed) + z)


class DynamicClassifier(nn.Module):
    """The same decomposition for the final linear layer; lambda also scales the bias. All its inner widths are 32."""

    def __init__(self, inp: int, classes: int, latent: int = 32) -> None:
        super().__init__()
        self.latent = latent
        self.cls = nn.Linear(inp, classes)
        self.cls_q = nn.Linear(inp, latent, bias=False)
        self.cls_p = nn.Linear(latent, classes, bias=False)
        self.fc = branch(inp, latent)
        self.fc_phi = nn.Linear(latent, latent * latent, bias=False)
        self.fc_scale = nn.Linear(latent, classes, bias=False)
        self.bn1 = nn.BatchNorm1d(latent)
        self.bn2 = nn.BatchNorm1d(latent)

    def forward(self, x: Tensor) -> Tensor:
        y = self.fc(x)
        phi = self.fc_phi(y).view(-1, self.latent, self.latent)
        z = self.bn1(self.cls_q(x))
        mixed = torch.bmm(phi, z.unsqueeze(2)).squeeze(2)
        return gate(self.fc_scale(y)) * self.cls(x) + self.cls_p(self.bn2(mixed) + z)


class MobileNetV2DCD(MobileNetV2):
    """Every 1x1 convolution of the sixteen blocks with expansion 6 is dynamic, and so is the classifier."""

    def __init__(self, classes: int = 1000, width: float = 1.0, fc_squeeze: int = 16, stem_stride: int = 2) -> None:
        super().__init__(
            classes,
            width,
            stem_stride,
            make=lambda inp, oup: DynamicConv(inp, oup, fc_squeeze),
            classifier=DynamicClassifier(last_channels(width), classes),
        )

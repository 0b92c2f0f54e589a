"""EfficientNet-Lite0 with the tensor names of its published PyTorch file; no squeeze-excitation, ReLU6 throughout.

Padding is TensorFlow's SAME: as much as the output size ceil(input / stride) needs, the odd pixel at the right and the bottom.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

# kernel, stride of the first repeat, expansion, output channels, repeats
STAGES = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]
EPS = 1e-3


class SameConv(nn.Conv2d):
    """A bias-free convolution with SAME padding for whatever size comes in."""

    def __init__(self, inp: int, oup: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inp, oup, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        down, across = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:])
        return super().forward(F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2)))


class Block(nn.Module):
    def __init__(self, inp: int, oup: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inp * expansion
        self.skip = stride == 1 and inp == oup
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = SameConv(inp, hidden, 1)
            self._bn0 = nn.BatchNorm2d(hidden, eps=EPS)
        self._depthwise_conv = SameConv(hidden, hidden, kernel, stride, hidden)
        self._bn1 = nn.BatchNorm2d(hidden, eps=EPS)
        self._project_conv = SameConv(hidden, oup, 1)
        self._bn2 = nn.BatchNorm2d(oup, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, eps=EPS)
        self._blocks = nn.ModuleList()
        inp = 32
        for kernel, stride, expansion, oup, repeats in STAGES:
            for index in range(repeats):
                self._blocks.append(Block(inp, oup, kernel, stride if index == 0 else 1, expansion))
                inp = oup
        self._conv_head = SameConv(inp, 1280, 1)
        self._bn1 = nn.BatchNorm2d(1280, eps=EPS)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return self._fc(F.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))

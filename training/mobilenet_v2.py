"""MobileNetV2, the static network (Sandler et al., 2018), and the block table that the dynamic one shares.

The names of the parameters follow the DCD layout (``features.i.conv.{0,1,3,4,6,7}``, head ``conv.{0,1}``), so that a dynamic
checkpoint and its static twin differ only where the networks differ.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

# expansion t, output channels c, repeats n, stride of the first repeat s
BLOCKS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]

PointwiseFactory = Callable[[int, int], nn.Module]


def make_divisible(value: float, divisor: int) -> int:
    """Round to a multiple of ``divisor``, never losing more than 10 % of the channels."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def channel_rule(width: float) -> Callable[[int], int]:
    """Channel counts at a width multiplier; the narrowest published width uses finer steps."""
    divisor = 4 if width == 0.1 else 8
    return lambda channels: make_divisible(channels * width, divisor)


def last_channels(width: float) -> int:
    """The head keeps its 1280 channels for narrow networks and only ever grows."""
    return channel_rule(width)(1280) if width > 1.0 else 1280


def pointwise(inp: int, oup: int) -> nn.Module:
    return nn.Conv2d(inp, oup, 1, bias=False)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; ``make`` builds the two 1x1 convolutions, which is all that DCD replaces."""

    def __init__(self, inp: int, oup: int, stride: int, expansion: int, make: PointwiseFactory) -> None:
        super().__init__()
        hidden = inp * expansion
        self.skip = stride == 1 and inp == oup
        depthwise = [
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
        ]
        if expansion == 1:
            self.conv = nn.Sequential(*depthwise, pointwise(hidden, oup), nn.BatchNorm2d(oup))
        else:
            expand = [make(inp, hidden), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True)]
            self.conv = nn.Sequential(*expand, *depthwise, make(hidden, oup), nn.BatchNorm2d(oup))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.skip else self.conv(x)


class MobileNetV2(nn.Module):
    """``stem_stride=1`` gives the variant for very small pictures; any input size works, odd ones too."""

    def __init__(
        self,
        classes: int = 1000,
        width: float = 1.0,
        stem_stride: int = 2,
        make: PointwiseFactory = pointwise,
        classifier: nn.Module | None = None,
    ) -> None:
        super().__init__()
        rule = channel_rule(width)
        inp = rule(32)
        layers: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, inp, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(inp), nn.ReLU6(inplace=True))
        ]
        for expansion, channels, repeats, stride in BLOCKS:
            oup = rule(channels)
            for index in range(repeats):
                layers.append(InvertedResidual(inp, oup, stride if index == 0 else 1, expansion, make))
                inp = oup
        last = last_channels(width)
        self.features = nn.Sequential(*layers)
        self.conv = nn.Sequential(pointwise(inp, last), nn.BatchNorm2d(last), nn.ReLU6(inplace=True))
        self.classifier = nn.Sequential(nn.Dropout(0.0), classifier or nn.Linear(last, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.conv(self.features(x)).mean((2, 3)))

"""The forward pass of a network whose batch norms keep their statistics, arranged for fast training steps on a CPU.

A batch norm with fixed statistics is a scale and an offset for every channel. Here both are folded into the kernels anew at every step:
the gradients are those of the plain forward pass, and the large maps are read and written far less often.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcd import DynamicConv, gate
from mobilenet_v2 import InvertedResidual, MobileNetV2


class StridedDepthwise(torch.autograd.Function):
    """A 3x3 depthwise convolution of stride 2 whose input gradient is a convolution of stride 1 over the spread-out output gradient.

    oneDNN's own input gradient of this layer takes half of a training step.
    """

    @staticmethod
    def forward(ctx, x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, kernel, bias)
        return F.conv2d(x, kernel, bias, 2, 1, 1, len(kernel))

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, kernel, bias = ctx.saved_tensors
        count = len(kernel)
        spread = torch.zeros_like(x, memory_format=torch.channels_last)
        spread[:, :, ::2, ::2] = gradient
        of_input = F.conv2d(spread, kernel.flip(2, 3), None, 1, 1, 1, count)
        _, of_kernel, of_bias = torch.ops.aten.convolution_backward(
            gradient, x, kernel, [count], [2, 2], [1, 1], [1, 1], False, [0, 0], count, [False, True, True]
        )
        return of_input, of_kernel, of_bias


def affine(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Scale and offset of a batch norm with fixed statistics."""
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - norm.running_mean * scale


def convolution(x: Tensor, conv: nn.Conv2d, norm: nn.Module) -> Tensor:
    scale, offset = affine(norm)
    kernel = conv.weight * scale.view(-1, 1, 1, 1)
    if conv.groups > 1 and conv.stride[0] == 2:
        return StridedDepthwise.apply(x, kernel.to(x.dtype), offset.to(x.dtype))
    return F.conv2d(x, kernel, offset, conv.stride, conv.padding, 1, conv.groups)


def pooled(x: Tensor, layer: DynamicConv) -> Tensor:
    """What ``layer.pooled`` gives; where its bins are equal, with a gradient that is never written out at the size of the map."""
    n, channels, h, w = x.shape
    bins = layer.pool
    if h % bins or w % bins:
        return layer.pooled(x)
    parts = x.permute(0, 2, 3, 1).reshape(n, bins, h // bins, bins, w // bins, channels)
    return (parts.sum((2, 4)) * (bins * bins / (h * w))).permute(0, 3, 1, 2).flatten(1)


def dynamic(x: Tensor, layer: DynamicConv, norm: nn.Module) -> Tensor:
    """W(x) is assembled where it has fewer elements than the layer's result, else its low-rank part is a branch beside W0."""
    n, inp, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h * w, inp)
    y = layer.fc(pooled(x, layer))
    phi = layer.fc_phi(y).view(n, layer.latent, layer.latent).float()
    gates = gate(layer.fc_scale(y)).float()
    (scale, offset), (scale1, offset1), (scale2, offset2) = affine(norm), affine(layer.bn1), affine(layer.bn2)
    with torch.autocast("cpu", enabled=False):
        mixing = scale2.view(1, -1, 1) * phi + torch.eye(layer.latent)
        w0 = layer.conv.weight.flatten(1) * scale.view(-1, 1)
        p = layer.conv_p.weight.flatten(1) * scale.view(-1, 1)
        q = layer.conv_q.weight.flatten(1) * scale1.view(-1, 1)
        constant = p @ offset2 + offset
        if inp < h * w:
            left = p @ mixing
            kernels = gates.unsqueeze(2) * w0 + left @ q
            biases = left @ offset1 + constant
    if inp < h * w:
        outputs = torch.baddbmm(biases.unsqueeze(1), rows, kernels.transpose(1, 2))
    else:
        mixed = torch.bmm(F.linear(rows, q, offset1), mixing.transpose(1, 2))
        outputs = torch.addcmul(F.linear(mixed, p, constant), gates.unsqueeze(1).to(x.dtype), F.linear(rows, w0))
    return outputs.view(n, h, w, -1).permute(0, 3, 1, 2)


def layers(x: Tensor, entries: nn.Sequential) -> Tensor:
    """Convolutions, each with the batch norm that follows it, and activations."""
    entries = list(entries)
    for entry, following in zip(entries, entries[1:] + [None]):
        if isinstance(entry, DynamicConv):
            x = dynamic(x, entry, following)
        elif isinstance(entry, nn.Conv2d):
            x = convolution(x, entry, following)
        elif isinstance(entry, nn.ReLU6):
            x = F.relu6(x)
    return x


def folded(model: MobileNetV2, x: Tensor) -> Tensor:
    """What ``model`` answers with the statistics that its batch norms have, [N,classes]."""
    if torch.is_autocast_enabled("cpu"):
        x = x.to(torch.get_autocast_dtype("cpu"))
    for block in model.features:
        if isinstance(block, InvertedResidual):
            out = layers(x, block.conv)
            x = x + out if block.skip else out
        else:
            x = layers(x, block)
    return model.classifier(layers(x, model.conv).mean((2, 3)))

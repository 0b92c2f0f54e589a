"""ImageNet weights of a static, quantised MobileNetV2 (.tflite) as the start of both networks.

Three things make the start a good one. The kernels keep their function: batch norms get true statistics and kernels of equal norm in
front of them. The dynamic branches begin alive: part of W0's strongest directions moves into the residual, half of it through a constant
part of Phi, so that only the varying part of Phi and lambda - 1 disturb the network. And the branch looks at what differs between
pictures: its first layer is a whitened PCA of the pooled input, orthogonal to the mean. A trained static network is continued likewise.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data import MEAN, STD
from dcd import DynamicClassifier, DynamicConv, MobileNetV2DCD
from mobilenet_v2 import InvertedResidual, MobileNetV2

KERNEL_OPERATORS = {3, 4}  # CONV_2D, DEPTHWISE_CONV_2D
NUMPY_TYPES = {0: np.float32, 2: np.int32, 3: np.uint8, 9: np.int8}


class Table:
    """A flatbuffer table: just enough of the format to walk a .tflite file."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self.vtable = position - struct.unpack_from("<i", data, position)[0]

    def field(self, index: int) -> int | None:
        size = struct.unpack_from("<H", self.data, self.vtable)[0]
        if 4 + 2 * index >= size:
            return None
        offset = struct.unpack_from("<H", self.data, self.vtable + 4 + 2 * index)[0]
        return self.position + offset if offset else None

    def scalar(self, index: int, code: str, default: int = 0) -> int:
        at = self.field(index)
        return default if at is None else struct.unpack_from("<" + code, self.data, at)[0]

    def follow(self, at: int) -> int:
        return at + struct.unpack_from("<I", self.data, at)[0]

    def table(self, index: int) -> Table | None:
        at = self.field(index)
        return None if at is None else Table(self.data, self.follow(at))

    def array(self, index: int, dtype: type) -> np.ndarray:
        at = self.field(index)
        if at is None:
            return np.zeros(0, dtype)
        start = self.follow(at)
        return np.frombuffer(self.data, dtype, struct.unpack_from("<I", self.data, start)[0], start + 4)

    def tables(self, index: int) -> list[Table]:
        start = self.follow(self.field(index) or 0)
        count = struct.unpack_from("<I", self.data, start)[0]
        return [Table(self.data, self.follow(start + 4 + 4 * i)) for i in range(count)]


def read_kernels(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Every convolution of the file in the order of execution: kernel [O,I/groups,k,k] and bias, dequantised."""
    data = path.read_bytes()
    model = Table(data, struct.unpack_from("<I", data, 0)[0])
    codes = [max(c.scalar(0, "b"), c.scalar(3, "i")) for c in model.tables(1)]
    graph, buffers = model.tables(2)[0], model.tables(4)
    tensors = graph.tables(0)

    def value(tensor: Table) -> np.ndarray:
        raw = buffers[tensor.scalar(2, "I")].array(0, np.uint8).tobytes()
        stored = np.frombuffer(raw, NUMPY_TYPES[tensor.scalar(1, "b")]).reshape(tensor.array(0, np.int32))
        quantisation = tensor.table(4)
        scale, zero = quantisation.array(2, np.float32), quantisation.array(3, np.int64)
        shape = [1] * stored.ndim
        if len(scale) > 1:
            shape[quantisation.scalar(6, "i")] = len(scale)
        return (stored.astype(np.float64) - zero.reshape(shape)) * scale.reshape(shape)

    kernels = []
    for operator in graph.tables(3):
        code = codes[operator.scalar(0, "I")]
        if code in KERNEL_OPERATORS:
            inputs = operator.array(1, np.int32)
            kernel, bias = value(tensors[inputs[1]]), value(tensors[inputs[2]])
            axes = (0, 3, 1, 2) if code == 3 else (3, 0, 1, 2)
            kernels.append((torch.from_numpy(kernel.transpose(axes).copy()).float(), torch.from_numpy(bias).float()))
    return kernels


def pairs(model: MobileNetV2) -> list[tuple[nn.Module, nn.BatchNorm2d]]:
    """Every convolution (static or dynamic) with the batch norm behind it, in the order of execution."""
    found = []
    sequences = [model.features[0], *(m.conv for m in model.features if isinstance(m, InvertedResidual)), model.conv]
    for sequence in sequences:
        for layer, norm in zip(sequence, list(sequence)[1:]):
            if isinstance(norm, nn.BatchNorm2d):
                found.append((layer, norm))
    return found


def whitened_branch(pooled: Tensor, rows: int) -> Tensor:
    """Rows of fc.0: unit-variance directions of the pooled input that are blind to its mean; the last row gives about 1."""
    mean = pooled.mean(0)
    direction = mean / mean.norm()
    centred = pooled - mean
    centred = centred - (centred @ direction)[:, None] * direction
    _, singular, basis = torch.linalg.svd(centred, full_matrices=False)
    spread = singular[: rows - 1] / len(pooled) ** 0.5
    varying = basis[: rows - 1] / spread.clamp_min(0.05 * spread[0])[:, None]
    return torch.cat([varying, (mean / mean.dot(mean)).unsqueeze(0)])


def set_norm(norm: nn.Module, sample: Tensor, weight: float) -> None:
    axes = [0, *range(2, sample.ndim)]
    norm.running_mean.copy_(sample.mean(axes))
    norm.running_var.copy_(sample.var(axes, unbiased=False))
    nn.init.constant_(norm.weight, weight)


def wake_branch(module: DynamicConv | DynamicClassifier, pooled: Tensor, constant: float) -> None:
    """The common part of both dynamic modules: Phi = constant * identity + a part of unit size that varies, lambda = 1 +- 0.17."""
    module.fc[0].weight.copy_(whitened_branch(pooled, module.fc[0].weight.shape[0]))
    squeeze = module.fc_phi.weight.shape[1]
    gate_weight = nn.init.normal_(module.fc[1].fc[0].weight, std=0.5 / squeeze**0.5)
    nn.init.normal_(module.fc_phi.weight, std=1.0 / squeeze**0.5)
    nn.init.normal_(module.fc_scale.weight, std=0.5 / squeeze**0.5)
    # the last entry of y is the constant one: it gates nothing and only feeds the diagonal of Phi
    gate_weight[-1].zero_()
    gate_weight[:, -1].zero_()
    module.fc_scale.weight[:, -1].zero_()
    module.fc_phi.weight[:, -1].copy_(constant * torch.eye(module.latent).flatten())


def latent_product(module: DynamicConv | DynamicClassifier, y: Tensor, z: Tensor) -> Tensor:
    phi = module.fc_phi(y).view(-1, module.latent, module.latent)
    return torch.bmm(phi, z.flatten(2) if z.ndim > 2 else z.unsqueeze(2))


def wake_conv(module: DynamicConv, norm: nn.BatchNorm2d, x: Tensor, share: float, mixing: float) -> None:
    """Move ``share`` of W0's strongest ``L`` directions into the residual; the outer norm allows for the mean that it loses.

    Phi's constant part is sized so that BN2(Phi z) is z, but for a disturbance of relative size ``mixing``: half of the residual
    then goes through Phi from the first step on.
    """
    pooled = module.pooled(x)
    kernel = module.conv.weight.flatten(1)
    left, singular, right = torch.linalg.svd(kernel, full_matrices=False)
    left, singular, right = left[:, : module.latent], singular[: module.latent], right[: module.latent]
    rank = len(singular)  # the narrowest layers may have fewer directions than L
    module.conv_q.weight.flatten(1)[:rank].copy_(right)
    set_norm(module.bn1, module.conv_q(x), 1.0)
    deviation = (module.bn1.running_var + module.bn1.eps).sqrt()
    moved = share * left * singular
    kernel.sub_(moved @ right)
    norm.running_mean.sub_(moved @ module.bn1.running_mean[:rank])
    module.conv_p.weight.zero_()
    module.conv_p.weight.flatten(1)[:, :rank].copy_(0.5 * moved * deviation[:rank])
    z = module.bn1(module.conv_q(x))
    wake_branch(module, pooled, 0.0)
    varying = float(latent_product(module, module.fc(pooled), z).std())
    wake_branch(module, pooled, varying / mixing)
    set_norm(module.bn2, latent_product(module, module.fc(pooled), z), 1.0)


def wake_classifier(module: DynamicClassifier, x: Tensor, mixing: float) -> None:
    module.cls_q.weight.copy_(whitened_branch(x, module.latent))
    set_norm(module.bn1, module.cls_q(x), 1.0)
    nn.init.normal_(module.cls_p.weight, std=0.03)
    z = module.bn1(module.cls_q(x))
    wake_branch(module, x, 1.0 / mixing)
    set_norm(module.bn2, latent_product(module, module.fc(x), z).squeeze(2), 1.0)


def settle_norm(layer: nn.Module, norm: nn.BatchNorm2d, out: Tensor) -> None:
    """True statistics without a change of function, and kernels of norm 1 per output channel.

    In front of a batch norm only a kernel's direction counts, and the pace at which it turns is rate / norm^2. Folded kernels
    differ in norm by a factor of a hundred; one norm for all lets one learning rate fit all.
    """
    kernel = layer.conv.weight if isinstance(layer, DynamicConv) else layer.weight
    size = kernel.flatten(1).norm(dim=1).clamp_min(1e-4)
    for convolution in [layer.conv, layer.conv_p] if isinstance(layer, DynamicConv) else [layer]:
        convolution.weight.div_(size.view(-1, 1, 1, 1))
    mean, variance = out.mean((0, 2, 3)), out.var((0, 2, 3), unbiased=False)
    norm.bias.add_(mean - norm.running_mean)  # the norm was the identity but for its bias and mean
    norm.running_mean.copy_(mean / size)
    norm.running_var.copy_(variance / size**2)
    norm.weight.copy_((norm.running_var + norm.eps).sqrt() * size)


@torch.no_grad()
def start(model: MobileNetV2, tflite: Path, sample: Tensor, share: float = 0.6, mixing: float = 0.3) -> None:
    """Load the kernels, then walk the network once with ``sample`` (normalised pictures) and set every layer as it is met."""
    for (layer, norm), (kernel, bias) in zip(pairs(model), read_kernels(tflite)):
        target = layer.conv if isinstance(layer, DynamicConv) else layer
        target.weight.copy_(kernel)
        norm.bias.copy_(bias)
        nn.init.constant_(norm.running_var, 1.0 - norm.eps)
    stem, norm = pairs(model)[0]
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    norm.bias.add_((stem.weight * (2 * mean - 1)).sum((1, 2, 3)))  # the file expects 2 p - 1, we feed (p - mean) / std
    stem.weight.mul_(2 * std)

    head = model.classifier[1]
    linear = head.cls if isinstance(head, DynamicClassifier) else head
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    walk(model, sample, share, mixing, settle=True)


@torch.no_grad()
def start_from_static(model: MobileNetV2DCD, static: MobileNetV2, sample: Tensor, share: float = 0.6, mixing: float = 0.3) -> None:
    """Continue a trained static network as a dynamic one: same function but for the newly woken branches."""
    names = dict(model.named_modules())
    for name, value in static.state_dict().items():
        owner, _, leaf = name.rpartition(".")
        inner = {DynamicConv: "conv", DynamicClassifier: "cls"}.get(type(names[owner]))
        target = names[owner].get_submodule(inner) if inner else names[owner]
        getattr(target, leaf).copy_(value)
    walk(model, sample, share, mixing, settle=False)


def walk(model: MobileNetV2, sample: Tensor, share: float, mixing: float, settle: bool) -> None:
    """One pass of ``sample`` that sets every layer as it is met, so that each sees the inputs it will have."""
    model.eval()
    handles = []
    for layer, norm in pairs(model):
        if isinstance(layer, DynamicConv):
            handles.append(
                layer.register_forward_pre_hook(lambda m, args, n=norm: wake_conv(m, n, args[0], share, mixing))
            )

        def again(module: nn.Module, args: tuple[Tensor], out: Tensor, norm: nn.BatchNorm2d = norm) -> Tensor:
            settle_norm(module, norm, out)
            return module.forward(args[0])

        if settle:
            handles.append(layer.register_forward_hook(again))
    if isinstance(model.classifier[1], DynamicClassifier):
        handles.append(model.classifier[1].register_forward_pre_hook(lambda m, args: wake_classifier(m, args[0], mixing)))
    model(sample)
    for handle in handles:
        handle.remove()

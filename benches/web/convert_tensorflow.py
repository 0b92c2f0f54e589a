"""MobileNetV2 and MobileNetV2-DCD for LiteRT.js (.tflite) and TensorFlow.js (graph model), by their own converters.

    python convert_tensorflow.py FOLDER        a folder that training/export_onnx.py has filled

The network is written here once more, channels-last, which is what both engines compute in: a conversion from ONNX would leave them
transpositions that they need not pay for. Norms that follow a static convolution are folded, as every converter does; weights of the
fully connected layers are put in the order that needs no transposition of activations. The results are compared with PyTorch's.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tensorflowjs
from safetensors.numpy import load_file

STRIDES = [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]  # of the 17 blocks
EPS = 1e-5
TOLERANCE = 1e-4  # of the largest score


class Network:
    """The forward pass over the tensors of a checkpoint; a layer is dynamic if the checkpoint has its dynamic weights."""

    def __init__(self, weights: dict[str, np.ndarray], as_conv: bool) -> None:
        """``as_conv``: the product with Phi is a convolution whose weights are computed, not a matrix product."""
        self.weights = weights
        self.as_conv = as_conv

    def norm(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift of a batch norm in evaluation mode, in float64."""
        weight, bias, mean, variance = (
            self.weights[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = weight / np.sqrt(variance + EPS)
        return scale, bias - mean * scale

    def affine(self, x: tf.Tensor, norm: str) -> tf.Tensor:
        scale, shift = self.norm(norm)
        return x * scale.astype(np.float32) + shift.astype(np.float32)

    def conv(self, x: tf.Tensor, name: str, norm: str | None = None, stride: int = 1) -> tf.Tensor:
        """A convolution with its norm folded; 3x3 ones are padded as in PyTorch, by one pixel on each side."""
        weight = self.weights[f"{name}.weight"].astype(np.float64)
        shift = None
        if norm:
            scale, shift = self.norm(norm)
            weight = weight * scale[:, None, None, None]
        kernel = weight.shape[2]
        depthwise = weight.shape[1] == 1 and x.shape[3] > 1
        padding = "SAME"
        if stride > 1 and kernel > 1:
            x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
            padding = "VALID"
        if depthwise:
            taps = weight.transpose(2, 3, 0, 1).astype(np.float32)
            y = tf.nn.depthwise_conv2d(x, taps, [1, stride, stride, 1], padding)
        else:
            y = tf.nn.conv2d(x, weight.transpose(2, 3, 1, 0).astype(np.float32), stride, padding)
        return y if shift is None else tf.nn.bias_add(y, shift.astype(np.float32))

    def linear(self, x: tf.Tensor, name: str, order: np.ndarray | None = None, outputs: np.ndarray | None = None) -> tf.Tensor:
        """A fully connected layer; ``order`` and ``outputs`` rearrange what it reads and writes."""
        weight = self.weights[f"{name}.weight"]
        weight = weight if order is None else weight[:, order]
        weight = weight if outputs is None else weight[outputs]
        y = tf.matmul(x, np.ascontiguousarray(weight.T))
        bias = self.weights.get(f"{name}.bias")
        return y if bias is None else tf.nn.bias_add(y, bias)

    def gate(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """relu6(u + 3) / 3 of a fully connected layer's output u.

        The 3 is a bias of the layer's width: both converters fuse a lone 3 as a bias of one element, which both engines' GPU kernels then
        read as if it were as long as the output, and compute wrongly.
        """
        u = self.linear(x, name)
        return tf.nn.relu6(tf.nn.bias_add(u, np.full(u.shape[1], 3, np.float32))) * np.float32(1 / 3)

    def controller(self, pooled: tf.Tensor, name: str, latent: int, order: np.ndarray | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Phi transposed, [1, L, L], and lambda, [1, outputs]."""
        y = self.linear(pooled, f"{name}.fc.0", order)
        y = y * self.gate(y, f"{name}.fc.1.fc.0")
        transposed = np.arange(latent * latent).reshape(latent, latent).T.ravel()
        phi = tf.reshape(self.linear(y, f"{name}.fc_phi", outputs=transposed), [1, latent, latent])
        return phi, self.gate(y, f"{name}.fc_scale")

    def mix(self, z: tf.Tensor, phi: tf.Tensor) -> tf.Tensor:
        """Phi times the latent vector of each pixel.

        LiteRT.js 2.5.3 computes wrongly on WebGPU where the result of a matrix product of two computed matrices is reshaped; the same
        product as a convolution is right, and needs no reshaping.
        """
        _, height, width, latent = z.shape
        if self.as_conv:
            return tf.nn.conv2d(z, tf.reshape(phi, [1, 1, latent, latent]), 1, "VALID")
        return tf.reshape(tf.matmul(tf.reshape(z, [1, height * width, latent]), phi), [1, height, width, latent])

    def pointwise(self, x: tf.Tensor, name: str, norm: str) -> tf.Tensor:
        if f"{name}.conv_q.weight" not in self.weights:
            return self.conv(x, name, norm)
        outputs = self.weights[f"{name}.conv.weight"].shape[0]
        latent = self.weights[f"{name}.conv_q.weight"].shape[0]
        _, height, width, inputs = x.shape
        if inputs < outputs:
            # The two adaptive bins of an axis of n are windows of ceil(n/2), floor(n/2) apart. PyTorch flattens channels first.
            bins = tf.nn.avg_pool2d(x, [height - height // 2, width - width // 2], [height // 2, width // 2], "VALID")
            pooled = tf.reshape(bins, [1, 4 * inputs])
            order = np.arange(4 * inputs).reshape(inputs, 4).T.ravel()
        else:
            pooled, order = tf.reduce_mean(x, [1, 2]), None
        phi, scale = self.controller(pooled, name, latent, order)
        z = self.conv(x, f"{name}.conv_q", f"{name}.bn1")
        mixed = self.mix(z, phi)
        branch = self.conv(self.affine(mixed, f"{name}.bn2") + z, f"{name}.conv_p")
        return self.affine(tf.reshape(scale, [1, 1, 1, outputs]) * self.conv(x, f"{name}.conv") + branch, norm)

    def classifier(self, x: tf.Tensor, name: str) -> tf.Tensor:
        if f"{name}.cls.weight" not in self.weights:
            return self.linear(x, name)
        latent = self.weights[f"{name}.cls_q.weight"].shape[0]
        phi, scale = self.controller(x, name, latent)
        z = self.affine(self.linear(x, f"{name}.cls_q"), f"{name}.bn1")
        mixed = tf.reshape(self.mix(tf.reshape(z, [1, 1, 1, latent]), phi), [1, latent])
        return scale * self.linear(x, f"{name}.cls") + self.linear(self.affine(mixed, f"{name}.bn2") + z, f"{name}.cls_p")

    def block(self, x: tf.Tensor, name: str, stride: int) -> tf.Tensor:
        y = x
        layer = 0
        if f"{name}.7.weight" in self.weights:
            y = tf.nn.relu6(self.pointwise(y, f"{name}.0", f"{name}.1"))
            layer = 3
        y = tf.nn.relu6(self.conv(y, f"{name}.{layer}", f"{name}.{layer + 1}", stride))
        y = self.pointwise(y, f"{name}.{layer + 3}", f"{name}.{layer + 4}")
        return x + y if stride == 1 and x.shape[3] == y.shape[3] else y

    def forward(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.nn.relu6(self.conv(x, "features.0.0", "features.0.1", 2))
        for index, stride in enumerate(STRIDES, 1):
            x = self.block(x, f"features.{index}.conv", stride)
        x = tf.nn.relu6(self.conv(x, "conv.0", "conv.1"))
        return self.classifier(tf.reduce_mean(x, [1, 2]), "classifier.1")


def check(what: str, found: np.ndarray, expected: np.ndarray) -> None:
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"{what}: largest difference to PyTorch {difference:.1e} of the largest score", flush=True)
    if not difference <= TOLERANCE:
        sys.exit(f"{what} computes something else")


def function_of(network: Network, picture: np.ndarray) -> tuple[tf.Module, tf.types.experimental.ConcreteFunction]:
    module = tf.Module()
    module.forward = tf.function(
        lambda input: {"scores": network.forward(input)}, input_signature=[tf.TensorSpec(picture.shape, tf.float32, "input")]
    )
    return module, module.forward.get_concrete_function()


def convert_lite(weights: dict[str, np.ndarray], file: Path, picture: np.ndarray, expected: np.ndarray) -> None:
    module, function = function_of(Network(weights, as_conv=True), picture)
    lite = tf.lite.TFLiteConverter.from_concrete_functions([function], module).convert()
    interpreter = tf.lite.Interpreter(model_content=lite)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    check(file.name, interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), expected)
    new = file.with_name(file.name + ".new")
    new.write_bytes(lite)
    new.replace(file)


def convert_js(weights: dict[str, np.ndarray], folder: Path, picture: np.ndarray, expected: np.ndarray) -> None:
    module, function = function_of(Network(weights, as_conv=False), picture)
    check(folder.name, function(tf.constant(picture))["scores"].numpy(), expected)
    with tempfile.TemporaryDirectory() as saved:
        tf.saved_model.save(module, saved, signatures=function)
        new = folder.with_name(folder.name + ".new")
        shutil.rmtree(new, ignore_errors=True)
        tensorflowjs.converters.convert_tf_saved_model(saved, str(new))
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def main() -> None:
    folder = Path(sys.argv[1])
    picture = np.ascontiguousarray(np.load(folder / "input.npy").transpose(0, 2, 3, 1))
    for name in ("mobilenet-v2", "mobilenet-v2-dcd"):
        weights, expected = load_file(folder / f"{name}.weights.safetensors"), np.load(folder / f"{name}.scores.npy")
        convert_lite(weights, folder / f"{name}.tflite", picture, expected)
        convert_js(weights, folder / f"{name}.tfjs", picture, expected)


if __name__ == "__main__":
    main()

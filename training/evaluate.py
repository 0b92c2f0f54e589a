"""Measure a trained network on the 10,000 test pictures of CIFAR-10, the way the engine's own evaluation does.

Pictures are decoded and enlarged by Pillow (bilinear, to the network's input size), in the order of sorted class folders and sorted
file names. Reports top-1 and top-5, every class, the ablations (Phi = 0, lambda = 1, and each fixed to its mean over pictures) and the
network with its kernels and matrices rounded to f16, as it ships; writes the predictions, so that the engine can be compared picture by picture.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from data import photograph
from networks import ABLATIONS, CLASSES, ablated, build, frozen, load_parent, logits


def load_test(folder: Path, size: int) -> tuple[Tensor, Tensor]:
    """uint8 [N,3,size,size] after Pillow's resize, and the labels."""
    pictures, labels = [], []
    for label, name in enumerate(CLASSES):
        for path in sorted((folder / name).iterdir()):
            with Image.open(path) as picture:
                pictures.append(np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)))
            labels.append(label)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def rounded(model: nn.Module) -> nn.Module:
    """Kernels and matrices through f16 and back; vectors stay as they are, as in the engine's half-precision files."""
    changed = copy.deepcopy(model)
    changed.load_state_dict({k: v.half().float() if v.ndim > 1 else v for k, v in model.state_dict().items()})
    return changed


def load_network(path: Path) -> tuple[str, nn.Module, int]:
    """A ``KIND.pt`` of train.py or a model file of dynaconv, and the input size that it says."""
    if path.suffix == ".safetensors":
        kind, model = load_parent(path)
        with safe_open(path, "pt") as file:
            size = json.loads(file.metadata()["dynaconv"])["preprocess"]["crop"]
        return kind, model.eval().to(memory_format=torch.channels_last), size
    saved = torch.load(path)
    model = build(saved["kind"])
    model.load_state_dict(saved["state_dict"])
    return saved["kind"], model.eval().to(memory_format=torch.channels_last), saved["size"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="KIND.pt of a training run, or a model file")
    parser.add_argument("--test", type=Path, required=True, help="folder with <class>/*.jpg")
    parser.add_argument("--report", type=Path, help="JSON report to write")
    parser.add_argument("--predictions", type=Path, help="safetensors file to add to: u8 top-1 of every picture, with and without f16")
    parser.add_argument("--photo", type=Path, nargs="*", default=[], help="photographs to classify as well")
    parser.add_argument("--variants", nargs="*", help="measure these only (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    kind, model, size = load_network(options.weights)
    images, labels = load_test(options.test, size)
    variants = {"f32": model, "f16": rounded(model)}
    if kind == "dcd":
        variants |= {name: ablated(model, head) for name, head in ABLATIONS.items()}
        sample = images[:: len(images) // 250]  # over all classes
        variants |= {f"{head} at its mean": frozen(model, head, sample, size) for head in ABLATIONS.values()}
    report: dict = {"kind": kind, "input_size": size, "parameters": sum(p.numel() for p in model.parameters())}
    predictions = {}
    for name, variant in variants.items():
        if options.variants and name not in options.variants:
            continue
        outputs = logits(variant, images, size)
        ranked = outputs.topk(5).indices
        hits = ranked[:, 0] == labels
        report[name] = {
            "top1": round(float(hits.double().mean()), 4),
            "top5": round(float((ranked == labels[:, None]).any(1).double().mean()), 4),
            "per_class": {c: round(float(hits[labels == i].double().mean()), 3) for i, c in enumerate(CLASSES)},
        }
        print(name, report[name], flush=True)
        if name in ("f32", "f16"):
            predictions[f"{kind}.{name}"] = ranked[:, 0].to(torch.uint8)
    report["photographs"] = {}
    for path in options.photo:
        with torch.no_grad():
            probability = model(photograph(path, size)).softmax(1)[0]
        best = probability.topk(3).indices
        report["photographs"][path.name] = {CLASSES[i]: round(float(probability[i]), 4) for i in best}
        print(path.name, report["photographs"][path.name])
    if options.report:
        options.report.write_text(json.dumps(report, indent=1) + "\n")
    if options.predictions:
        others = load_file(options.predictions) if options.predictions.exists() else {}
        unfinished = options.predictions.with_suffix(".new")
        save_file(others | predictions, unfinished)
        unfinished.replace(options.predictions)


if __name__ == "__main__":
    main()

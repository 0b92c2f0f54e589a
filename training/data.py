"""CIFAR-10 pictures in memory and their batched augmentation.

All pictures fit in memory as uint8 at their own 32 pixels; enlarging them is part of the batch, so one copy serves every input
size. Enlarging is bilinear, which equals Pillow's bilinear resize (align_corners false) but for its rounding to whole levels.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
HELD_OUT = 100  # per class, off the end of the training folders: watches the training without touching the test pictures


def load(folder: Path) -> tuple[Tensor, Tensor]:
    """All pictures below ``folder/<class>/*.jpg`` in sorted order -> uint8 [N,3,H,W] and labels [N]."""
    pictures, labels = [], []
    for label, directory in enumerate(sorted(p for p in folder.iterdir() if p.is_dir())):
        for path in sorted(directory.iterdir()):
            with Image.open(path) as picture:
                pictures.append(np.asarray(picture.convert("RGB")))
            labels.append(label)
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(), torch.tensor(labels)


def load_cached(folder: Path, cache: Path) -> tuple[Tensor, Tensor]:
    """Decoding 50,000 files takes half a minute; a restarted training should not pay for it again. Processes may start together."""
    if not cache.exists():
        images, labels = load(folder)
        cache.parent.mkdir(parents=True, exist_ok=True)
        own = cache.with_suffix(f".{os.getpid()}.tmp")
        torch.save({"images": images, "labels": labels}, own)
        os.replace(own, cache)
    stored = torch.load(cache)
    return stored["images"], stored["labels"]


def split_held_out(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the pictures to train on, and of the last ``HELD_OUT`` of every class."""
    held = torch.cat([torch.nonzero(labels == c).flatten()[-HELD_OUT:] for c in range(int(labels.max()) + 1)])
    keep = torch.ones(len(labels), dtype=torch.bool)
    keep[held] = False
    return torch.nonzero(keep).flatten(), held


def normalise(images: Tensor) -> Tensor:
    """Levels 0..255 -> the authors' ImageNet normalisation, in channels-last memory."""
    mean = torch.tensor(MEAN).view(1, 3, 1, 1) * 255
    std = torch.tensor(STD).view(1, 3, 1, 1) * 255
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def enlarge(images: Tensor, size: int) -> Tensor:
    """uint8 pictures -> network input, without augmentation."""
    images = images.float()
    if images.shape[-1] != size:
        images = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    return normalise(images)


def augment(images: Tensor, size: int, generator: torch.Generator, light: bool = False) -> Tensor:
    """Random crop from a reflect-padded picture, flip, brightness, contrast, a hidden square, and now and then sharper enlargement.

    The crop's side varies from batch to batch, which varies the scale. Half of the pictures lose a square of 12 pixels (DeVries and
    Taylor, *Cutout*, 2017). A CIFAR picture enlarged three times is blurred; a fifth of the batches enlarge more sharply, so that
    the network does not take blur for a property of the world. ``light`` keeps the crop, the flip and an eighth of sharp batches:
    the end of a short training should look like what is measured.
    """

    def draw(high: int, count: int = 1) -> Tensor:
        return torch.randint(high, (count,), generator=generator)

    count, _, height, _ = images.shape
    padded = F.pad(images.float(), (4, 4, 4, 4), mode="reflect")
    side = height if light else [28, 30, 32, 32, 34, 36][int(draw(6))]
    span = height + 8 - side + 1
    rows = draw(span, count).view(-1, 1, 1) + torch.arange(side).view(1, -1, 1)
    columns = draw(span, count).view(-1, 1) + torch.arange(side).view(1, -1)
    flip = draw(2, count).bool()
    columns = torch.where(flip.view(-1, 1), columns.flip(1), columns).view(-1, 1, side)
    index = torch.arange(count).view(-1, 1, 1)
    crops = padded.permute(0, 2, 3, 1)[index, rows, columns].permute(0, 3, 1, 2).contiguous()
    strength = 0.0 if light else 0.2
    gain = 1.0 + strength * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1)
    offset = 100.0 * strength * (2 * torch.rand(count, 1, 1, 1, generator=generator) - 1)
    centre = crops.mean((1, 2, 3), keepdim=True)
    crops = (crops - centre) * gain + centre + offset
    if not light:
        top, left = draw(side, count).view(-1, 1, 1, 1), draw(side, count).view(-1, 1, 1, 1)
        row, column = torch.arange(side).view(1, 1, -1, 1), torch.arange(side).view(1, 1, 1, -1)
        hidden = ((row - top).abs() < 6) & ((column - left).abs() < 6) & draw(2, count).bool().view(-1, 1, 1, 1)
        crops = torch.where(hidden, centre, crops)
    if side != size:
        sharp = int(draw(8 if light else 5)) == 0
        mode = "bicubic" if sharp else "bilinear"
        crops = F.interpolate(crops, size=(size, size), mode=mode, align_corners=False)
        if sharp:  # unsharp mask of a random strength
            amount = 1.5 * torch.rand(count, 1, 1, 1, generator=generator)
            crops = crops + amount * (crops - F.avg_pool2d(crops, 5, 1, 2, count_include_pad=False))
    return normalise(crops.clamp_(0, 255))


def mix(inputs: Tensor, answers: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """CutMix (Yun et al., 2019) of a batch with probability ``share``: a rectangle of another picture, and as much of its answer [N,classes]."""

    def draw() -> float:
        return float(torch.rand(1, generator=generator))

    count, _, height, width = inputs.shape
    order = torch.randperm(count, generator=generator)
    if draw() >= share:
        return inputs, answers
    side = draw() ** 0.5
    rows, columns = int(side * height), int(side * width)
    top, left = int(draw() * (height - rows + 1)), int(draw() * (width - columns + 1))
    mixed = inputs.clone()
    mixed[:, :, top : top + rows, left : left + columns] = inputs[order, :, top : top + rows, left : left + columns]
    given = rows * columns / (height * width)
    return mixed, (1 - given) * answers + given * answers[order]


def photograph(path: Path, size: int) -> Tensor:
    """An ordinary photo as the engine's evaluation sees it: shorter side to ``size`` (Pillow, antialiased), centre crop."""
    with Image.open(path) as picture:
        picture = picture.convert("RGB")
        width, height = picture.size
        short = min(width, height)
        width, height = int(size * width / short), int(size * height / short)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    pixels = np.array(picture.crop((left, top, left + size, top + size)))
    return normalise(torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float())

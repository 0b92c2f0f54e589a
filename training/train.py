"""Train MobileNetV2-DCD or its static twin on CIFAR-10 with one recipe; resumes by itself from its last checkpoint.

Sizes may progress: the first pictures are seen at a small size, where a step is cheap, the last at the final size. From the second
size on `--rest` first blocks, whose large maps cost most of a step, stay as they are. The learning rate depends on the number of
pictures seen alone, so that both networks get the same schedule whatever their speed.

Trained networks may teach: their mean answer to the very picture that the learner sees is then a part of the right one (Hinton, Vinyals
and Dean, *Distilling the Knowledge in a Neural Network*, 2015).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import signal
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data import augment, enlarge, load_cached, mix, photograph, split_held_out
from imagenet_start import start, start_from_static
from networks import ABLATIONS, CLASSES, ablated, build, load_parent, logits, top1, true_statistics


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=["dcd", "static"], required=True)
    parser.add_argument("--cifar", type=Path, required=True, help="folder with train/<class>/*.jpg")
    parser.add_argument("--tflite", type=Path, required=True, help="ImageNet start weights")
    parser.add_argument("--parent", type=Path, help="trained network to continue instead: a latest.pt or a model file of dynaconv")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints and log")
    parser.add_argument("--photo", type=Path, help="a photograph to classify at every evaluation")
    parser.add_argument("--pictures", type=int, default=600_000, help="length of the schedule, in pictures seen")
    parser.add_argument("--sizes", type=int, nargs=3, default=(64, 96, 128), help="input sizes, one after the other")
    parser.add_argument("--grow-at", type=int, nargs=2, default=(60_000, 360_000), help="pictures after which the size grows")
    parser.add_argument("--light-after", type=int, default=500_000, help="pictures after which augmentation is light")
    parser.add_argument("--rest", type=int, default=0, help="leading entries of `features` that rest after the first size")
    parser.add_argument("--still-norms", action="store_true", help="batch norms keep their statistics: faster steps, for small rates")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="trained networks whose mean answer is learnt, as --parent")
    parser.add_argument("--taught", type=float, default=0.7, help="the teachers' part of the right answer")
    parser.add_argument("--cutmix", type=float, default=0.0, help="share of batches with rectangles of other pictures, until --light-after")
    parser.add_argument("--smoothing", type=float, default=0.1, help="label smoothing")
    parser.add_argument("--bf16", action="store_true", help="multiply in bfloat16, forward and backward")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--evaluate-every", type=int, default=60_000)
    parser.add_argument("--save-seconds", type=float, default=240)
    parser.add_argument("--stop-after", type=int, help="end early, the schedule unchanged (for trials)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def rate_at(seen: int, total: int, peak: float, warm: int = 4_000) -> float:
    """Linear warm-up, then a cosine down to zero; both counted from the start of this network."""
    if seen < warm:
        return peak * (seen + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (seen - warm) / (total - warm))))


def groups(model: nn.Module, decay: float) -> list[dict]:
    """Weight decay for kernels and matrices only; batch norms and biases go free."""
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


@torch.no_grad()
def average(mean: nn.Module, model: nn.Module, decay: float) -> None:
    """Exponential moving average of the weights; statistics that move are measured anew at every evaluation."""
    torch._foreach_lerp_(list(mean.parameters()), list(model.parameters()), 1.0 - decay)


def save(path: Path, state: dict) -> None:
    """Atomic: a process killed while writing leaves the previous checkpoint whole."""
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def size_at(seen: int, options: argparse.Namespace) -> int:
    """The input size of a batch, in pixels a side."""
    return options.sizes[sum(seen >= pictures for pictures in options.grow_at)]


def rest(model: nn.Module, blocks: int) -> None:
    """Freeze the first blocks, their batch norms included."""
    for block in model.features[:blocks]:
        block.eval()
        for parameter in block.parameters():
            parameter.requires_grad_(False)


def still_norms(model: nn.Module) -> None:
    """Let batch norms keep their statistics; their scales and biases still learn."""
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.eval()


class Log:
    """One JSON object per line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, **values: object) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"time": time.strftime("%H:%M:%S"), **values}) + "\n")


def measure(mean: nn.Module, images: Tensor, sample: Tensor | None, held: Tensor, labels: Tensor, size: int, photo: Path | None) -> dict:
    """Averaged weights on the held-out pictures, with statistics of ``sample`` if there is one, and both ablations on half of them."""
    model = copy.deepcopy(mean).eval()
    if sample is not None:
        true_statistics(model, images[sample], size)
    result: dict = {"held_out_top1": top1(logits(model, images[held], size), labels[held])}
    if any(name.endswith("fc_phi.weight") for name, _ in model.named_parameters()):
        half = held[::2]
        result["held_out_half"] = top1(logits(model, images[half], size), labels[half])
        for name, head in ABLATIONS.items():
            result[name] = top1(logits(ablated(model, head), images[half], size), labels[half])
    if photo is not None:
        with torch.no_grad():
            probability = model(photograph(photo, size)).softmax(1)[0]
        result["photo"] = {CLASSES[i]: round(float(probability[i]), 3) for i in probability.topk(3).indices}
    return result


class Teachers:
    """Trained networks that answer together."""

    def __init__(self, paths: list[Path]) -> None:
        networks = [load_parent(path)[1].eval().to(memory_format=torch.channels_last) for path in paths]
        self.networks = [torch.compile(network, dynamic=False) for network in networks]

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Mean probabilities, [N,classes]."""
        with torch.autocast("cpu", torch.bfloat16):
            return torch.stack([network(inputs).float().softmax(1) for network in self.networks]).mean(0)


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.run.mkdir(parents=True, exist_ok=True)
    log = Log(options.run / "log.jsonl")
    latest = options.run / "latest.pt"
    images, labels = load_cached(options.cifar / "train", options.run.parent / "train-cache.pt")
    kept, held = split_held_out(labels)
    final = options.sizes[-1]

    model = build(options.kind)
    generator = torch.Generator().manual_seed(options.seed)
    seen = step = 0
    pick = kept[torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))]
    sample = None if options.still_norms else pick[:1024]
    if not latest.exists():
        if options.parent:
            kind, parent = load_parent(options.parent)
            parent = parent.to(memory_format=torch.channels_last)
            true_statistics(parent, images[pick[:4096]], options.sizes[0])
            if kind == options.kind:
                model = parent
            elif kind == "dcd":
                raise SystemExit(f"{options.parent} is a dynamic network, which a static one cannot continue")
            else:
                start_from_static(model, parent, enlarge(images[pick[:512]], options.sizes[0]))
        else:
            start(model, options.tflite, enlarge(images[pick[:512]], options.sizes[0]))
    teachers = Teachers(options.teachers)
    model = model.to(memory_format=torch.channels_last)
    mean = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(groups(model, options.decay), lr=options.rate, betas=(0.9, 0.99), foreach=True)
    if latest.exists():
        state = torch.load(latest)
        model.load_state_dict(state["model"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["generator"])
        seen, step = state["seen"], state["step"]
    log(event="start", seen=seen, options={k: str(v) for k, v in vars(options).items() if "Path(" not in repr(v)})

    def checkpoint() -> None:
        save(latest, {"model": model.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict(),
                      "generator": generator.get_state(), "seen": seen, "step": step})

    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    per_epoch = len(kept) // options.batch * options.batch
    order, order_epoch = kept, -1
    saved = logged = time.time()
    window: list[tuple[float, float]] = []
    window_seen = seen
    size, forward = 0, model
    while seen < options.pictures and not stopping and not (options.stop_after and seen >= options.stop_after):
        epoch, offset = divmod(seen, per_epoch)
        if epoch != order_epoch:
            shuffle = torch.Generator().manual_seed(1000 * options.seed + epoch)
            order, order_epoch = kept[torch.randperm(len(kept), generator=shuffle)], epoch
        chosen = order[offset : offset + options.batch]
        if size != size_at(seen, options):
            size = size_at(seen, options)
            if size > options.sizes[0]:
                true_statistics(model, images[pick[:1024]], size)  # those of the blocks that rest stay so
            if size > options.sizes[0] or options.still_norms:
                forward = torch.compile(model, dynamic=False)
            model.train()
            if size > options.sizes[0]:
                rest(model, options.rest)
            if options.still_norms:
                still_norms(model)
        rate = rate_at(seen, options.pictures, options.rate)
        for group in optimiser.param_groups:
            group["lr"] = rate
        light = seen >= options.light_after
        inputs = augment(images[chosen], size, generator, light)
        answers = (1 - options.smoothing) * F.one_hot(labels[chosen], len(CLASSES)) + options.smoothing / len(CLASSES)
        inputs, answers = mix(inputs, answers, 0.0 if light else options.cutmix, generator)
        if options.teachers:
            answers = options.taught * teachers(inputs) + (1 - options.taught) * answers
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            outputs = forward(inputs)
        loss = F.cross_entropy(outputs.float(), answers)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        step += 1
        average(mean, model, min(options.ema, (1 + step) / (10 + step)))
        before, seen = seen, seen + len(chosen)
        window.append((float(loss.detach()), top1(outputs.detach(), labels[chosen])))
        if time.time() - logged > 30:
            losses, hits = zip(*window)
            log(seen=seen, size=size, rate=round(rate, 5), loss=round(sum(losses) / len(losses), 4),
                train_top1=round(sum(hits) / len(hits), 4), per_second=round((seen - window_seen) / (time.time() - logged), 1))
            window, window_seen, logged = [], seen, time.time()
        if seen // options.evaluate_every != before // options.evaluate_every:
            log(event="evaluate", seen=seen, size=size, **measure(mean, images, sample, held, labels, size, options.photo))
            window, window_seen, logged = [], seen, time.time()
        if time.time() - saved > options.save_seconds:
            checkpoint()
            saved = time.time()
    checkpoint()
    if seen >= options.pictures:
        if sample is not None:
            true_statistics(mean, images[pick[:4096]], final)
        save(options.run / "final.pt", {"kind": options.kind, "state_dict": mean.state_dict(), "seen": seen, "size": final})
        log(event="finished", seen=seen, **measure(mean, images, sample, held, labels, final, options.photo))


if __name__ == "__main__":
    main()

"""Train MobileNetV2-DCD or its static twin on CIFAR-10 with one recipe; resumes by itself from its last checkpoint.

Sizes may progress: the first pictures are seen at a small size, where a step is cheap, the last at the final size. From the second
size on `--rest` first blocks, whose large maps cost most of a step, stay as they are. The learning rate depends on the number of
pictures seen alone, so that both networks get the same schedule whatever their speed.

Trained networks may teach: their mean answer to the very picture that the learner sees is then a part of the right one (Hinton, Vinyals
and Dean, *Distilling the Knowledge in a Neural Network*, 2015). Two networks trained at once see the same pictures and may teach each other
(Zhang et al., *Deep Mutual Learning*, 2018).

Under `torchrun --nproc-per-node N` every process takes a batch of its own, and all make the same step along the mean gradient.
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
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from data import augment, enlarge, load_cached, mix, photograph, split_held_out
from folded import folded
from imagenet_start import start, start_from_static
from networks import ABLATIONS, CLASSES, ablated, build, load_parent, logits, top1, true_statistics


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=["dcd", "static"], nargs="+", required=True, help="one network, or both at once")
    parser.add_argument("--cifar", type=Path, required=True, help="folder with train/<class>/*.jpg")
    parser.add_argument("--tflite", type=Path, required=True, help="ImageNet start weights")
    parser.add_argument("--parent", type=Path, nargs="+", help="trained network to continue instead, one a kind: its .pt or a model file of dynaconv")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoints, log and the trained KIND.pt")
    parser.add_argument("--photo", type=Path, help="a photograph to classify at every evaluation")
    parser.add_argument("--pictures", type=int, default=600_000, help="length of the schedule, in pictures seen")
    parser.add_argument("--sizes", type=int, nargs=3, default=(64, 96, 128), help="input sizes, one after the other")
    parser.add_argument("--grow-at", type=int, nargs=2, default=(60_000, 360_000), help="pictures after which the size grows")
    parser.add_argument("--light-after", type=int, default=500_000, help="pictures after which augmentation is light")
    parser.add_argument("--rest", type=int, default=0, help="leading entries of `features` that rest after the first size")
    parser.add_argument("--still-norms", action="store_true", help="batch norms keep their statistics: faster steps, for small rates")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="trained networks whose mean answer is learnt, as --parent")
    parser.add_argument("--taught", type=float, default=0.7, help="the teachers' part of the right answer")
    parser.add_argument("--mutual", type=float, default=0.0, help="the other network's part of the right answer, where two are trained")
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
    options = parser.parse_args()
    if options.mutual and len(options.kind) != 2:
        parser.error("--mutual needs two networks")
    if options.parent and len(options.parent) != len(options.kind):
        parser.error("--parent needs one network for each --kind")
    return options


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
        self.networks = [load_parent(path)[1].eval().to(memory_format=torch.channels_last) for path in paths]

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Mean probabilities, [N,classes]."""
        with torch.autocast("cpu", torch.bfloat16):
            return torch.stack([folded(network, inputs).float().softmax(1) for network in self.networks]).mean(0)


class Learner:
    """One network in training: its weights, their running average and the optimiser's state."""

    def __init__(self, kind: str, model: nn.Module, options: argparse.Namespace) -> None:
        self.kind = kind
        self.model = model.to(memory_format=torch.channels_last)
        self.mean = copy.deepcopy(self.model)
        self.optimiser = torch.optim.AdamW(groups(self.model, options.decay), lr=options.rate, betas=(0.9, 0.99), foreach=True)
        self.forward = lambda inputs: self.model(inputs)

    def state(self) -> dict:
        return {"model": self.model.state_dict(), "mean": self.mean.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])

    def grow(self, size: int, images: Tensor, options: argparse.Namespace) -> None:
        """Go on at an input of ``size`` pixels; ``images`` give the statistics that blocks at rest keep."""
        grown = size > options.sizes[0]
        if grown:
            true_statistics(self.model, images, size)
            self.forward = torch.compile(self.model, dynamic=False)
        self.model.train()
        if grown:
            rest(self.model, options.rest)
        if options.still_norms:
            still_norms(self.model)
            self.forward = lambda inputs: folded(self.model, inputs)


def agree(learners: list[Learner], asked: bool) -> bool:
    """Average the gradients over all processes; whether any of them has been asked to stop."""
    if not dist.is_initialized():
        return asked
    gradients = [p.grad for learner in learners for p in learner.model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in gradients] + [torch.tensor([float(asked)])])
    dist.all_reduce(flat)
    parts = flat.split([g.numel() for g in gradients] + [1])
    for gradient, part in zip(gradients, parts):
        gradient.copy_(part.view_as(gradient) / dist.get_world_size())
    return bool(parts[-1] > 0)


def begin(kind: str, parent: Path | None, images: Tensor, options: argparse.Namespace) -> nn.Module:
    """A network at the start of its training: from ``parent``, or from the ImageNet weights; ``images`` give statistics."""
    model = build(kind)
    if parent is None:
        start(model, options.tflite, enlarge(images[:512], options.sizes[0]))
        return model
    trained, network = load_parent(parent)
    network = network.to(memory_format=torch.channels_last)
    if trained == kind and options.still_norms:
        return network
    true_statistics(network, images, options.sizes[0])
    if trained == kind:
        return network
    if kind == "static":
        raise SystemExit(f"{parent} is a dynamic network, which a static one cannot continue")
    start_from_static(model, network, enlarge(images[:512], options.sizes[0]))
    return model


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    if "WORLD_SIZE" in os.environ:
        dist.init_process_group("gloo")
    rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    options.run.mkdir(parents=True, exist_ok=True)
    log = Log(options.run / "log.jsonl")
    latest = options.run / "latest.pt"
    images, labels = load_cached(options.cifar / "train", options.run.parent / "train-cache.pt")
    kept, held = split_held_out(labels)
    final = options.sizes[-1]
    pick = kept[torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))]
    sample = None if options.still_norms else pick[:1024]

    seen = step = 0
    parents = options.parent or [None] * len(options.kind)
    learners = [Learner(kind, begin(kind, parent, images[pick[:4096]], options), options) for kind, parent in zip(options.kind, parents)]
    if latest.exists():
        state = torch.load(latest)
        seen, step = state["seen"], state["step"]
        for learner in learners:
            learner.load(state[learner.kind])
    teachers = Teachers(options.teachers)
    generator = torch.Generator().manual_seed((options.seed * 1_000_003 + seen) * processes + rank)
    if rank == 0:
        log(event="start", seen=seen, processes=processes, options={k: str(v) for k, v in vars(options).items() if "Path(" not in repr(v)})

    def checkpoint() -> None:
        if rank == 0:
            save(latest, {"seen": seen, "step": step} | {learner.kind: learner.state() for learner in learners})

    def evaluate(event: str, size: int) -> None:
        """The processes share the learners between them."""
        for learner in learners[rank::processes]:
            results = measure(learner.mean, images, sample, held, labels, size, options.photo)
            log(event=event, kind=learner.kind, seen=seen, size=size, **results)

    # One process is asked at a time; all stop together, once they have told each other.
    asked = stopping = False

    def stop(*_: object) -> None:
        nonlocal asked
        asked = True

    signal.signal(signal.SIGTERM, stop)
    together = options.batch * processes
    per_epoch = len(kept) // together * together
    order, order_epoch = kept, -1
    saved = logged = time.time()
    window: list[list[float]] = []
    window_seen = seen
    size = 0
    while seen < options.pictures and not stopping and not (options.stop_after and seen >= options.stop_after):
        epoch, offset = divmod(seen, per_epoch)
        if epoch != order_epoch:
            shuffle = torch.Generator().manual_seed(1000 * options.seed + epoch)
            order, order_epoch = kept[torch.randperm(len(kept), generator=shuffle)], epoch
        offset += rank * options.batch
        chosen = order[offset : offset + options.batch]
        if size != size_at(seen, options):
            size = size_at(seen, options)
            for learner in learners:
                learner.grow(size, images[pick[:1024]], options)
        rate = rate_at(seen, options.pictures, options.rate)
        light = seen >= options.light_after
        inputs = augment(images[chosen], size, generator, light)
        answers = (1 - options.smoothing) * F.one_hot(labels[chosen], len(CLASSES)) + options.smoothing / len(CLASSES)
        inputs, answers = mix(inputs, answers, 0.0 if light else options.cutmix, generator)
        if options.teachers:
            answers = options.taught * teachers(inputs) + (1 - options.taught) * answers
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            outputs = [learner.forward(inputs).float() for learner in learners]
        opinions = [output.detach().softmax(1) for output in outputs]
        losses = [
            F.cross_entropy(output, options.mutual * opinion + (1 - options.mutual) * answers if options.mutual else answers)
            for output, opinion in zip(outputs, reversed(opinions))
        ]
        for learner, loss in zip(learners, losses):
            learner.optimiser.zero_grad()
            loss.backward()
        stopping = agree(learners, asked)
        step += 1
        for learner in learners:
            for group in learner.optimiser.param_groups:
                group["lr"] = rate
            nn.utils.clip_grad_norm_(learner.model.parameters(), 5.0)
            learner.optimiser.step()
            average(learner.mean, learner.model, min(options.ema, (1 + step) / (10 + step)))
        before, seen = seen, seen + together
        window.append([float(loss.detach()) for loss in losses] + [top1(opinion, labels[chosen]) for opinion in opinions])
        if time.time() - logged > 30 and rank == 0:
            averages = torch.tensor(window).mean(0).tolist()
            for learner, loss, hits in zip(learners, averages, averages[len(learners) :]):
                log(kind=learner.kind, seen=seen, size=size, rate=round(rate, 5), loss=round(loss, 4), train_top1=round(hits, 4),
                    per_second=round((seen - window_seen) / (time.time() - logged), 1))
            window, window_seen, logged = [], seen, time.time()
        if seen // options.evaluate_every != before // options.evaluate_every:
            evaluate("evaluate", size)
            window, window_seen, logged = [], seen, time.time()
        if time.time() - saved > options.save_seconds:
            checkpoint()
            saved = time.time()
    checkpoint()
    if seen >= options.pictures:
        for learner in learners[rank::processes]:
            if sample is not None:
                true_statistics(learner.mean, images[pick[:4096]], final)
            state = {"kind": learner.kind, "state_dict": learner.mean.state_dict(), "seen": seen, "size": final}
            save(options.run / f"{learner.kind}.pt", state)
        evaluate("finished", final)


if __name__ == "__main__":
    main()

"""Average several branches of one training run into one network.

Two processes of one thread make better use of two busy cores than one process of two threads. Branches that left one checkpoint with
different orders of the pictures stay close enough for their weights to be averaged, and the average is better than either.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from data import load_cached, split_held_out
from networks import build, logits, top1, true_statistics
from train import save


def blend(values: list[Any]) -> Any:
    """Mean of every floating tensor in equally shaped nested states; anything else is taken from the first."""
    first = values[0]
    if isinstance(first, torch.Tensor):
        return torch.stack(values).mean(0) if first.is_floating_point() else first
    if isinstance(first, dict):
        return {key: blend([value[key] for value in values]) for key in first}
    if isinstance(first, list):
        return [blend(list(items)) for items in zip(*values)]
    return first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--branches", type=Path, nargs="+", required=True, help="latest.pt of every branch")
    parser.add_argument("--out", type=Path, required=True, help="the averaged latest.pt, to go on from")
    parser.add_argument("--final", type=Path, help="also write final.pt: averaged weights with measured statistics")
    parser.add_argument("--cifar", type=Path, help="needed with --final")
    parser.add_argument("--kind", choices=["dcd", "static"], default="dcd")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    states = [torch.load(path) for path in options.branches]
    # BatchNorm counters and the step stay those of the first branch, `seen` counts one branch
    state = blend(states)
    save(options.out, state)
    if options.final:
        images, labels = load_cached(options.cifar / "train", options.out.parent.parent / "train-cache.pt")
        kept, held = split_held_out(labels)
        model = build(options.kind).to(memory_format=torch.channels_last)
        for name, weights in [*((str(p), s["mean"]) for p, s in zip(options.branches, states)), ("average", state["mean"])]:
            model.load_state_dict(weights)
            pick = kept[torch.randperm(len(kept), generator=torch.Generator().manual_seed(0))[: 4096 if name == "average" else 512]]
            true_statistics(model, images[pick], options.size)
            print(name, "held out", top1(logits(model, images[held], options.size), labels[held]), flush=True)
        save(options.final, {"kind": options.kind, "state_dict": model.state_dict(), "seen": state["seen"], "size": options.size})


if __name__ == "__main__":
    main()

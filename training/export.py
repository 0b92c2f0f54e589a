"""Write a trained network as a checkpoint in the official layout, which the engine's importer reads."""

from __future__ import annotations

import argparse
from pathlib import Path

from checkpoint import write
from evaluate import load_network

ARCHITECTURES = {"dcd": "mobilenetv2_dcd", "static": "mobilenetv2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="KIND.pt of a training run")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--top1", type=float, default=0.0, help="accuracy in percent, stored in the file")
    parser.add_argument("--legacy", action="store_true", help="the old stream with module. instead of a zip without")
    options = parser.parse_args()
    kind, model, _ = load_network(options.weights)
    prefix = "module." if options.legacy else ""
    write(options.out, model, legacy=options.legacy, prefix=prefix, arch=ARCHITECTURES[kind], best=options.top1, epoch=0)


if __name__ == "__main__":
    main()

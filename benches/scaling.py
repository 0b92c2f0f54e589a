#!/usr/bin/env python3
"""How the time of a run grows with a network's width and input, its precision and the size of the batch, beside its multiply-adds.

Networks are made up by `dynaconv bench --network`, so nothing but the program is needed. Each turn is a process of its own that
loads, warms up and times its runs; the order moves on from round to round. The table gives medians over all runs, and each
row's time and multiply-adds as multiples of the first row's: a time that grows no faster than its multiply-adds has a last column of
at most 1.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field

WIDTHS = [0.35, 0.5, 0.75, 1.0, 1.4]
SIDES = [96, 128, 160, 192, 224, 320, 448]
BATCHES = [1, 2, 4, 8, 16]


@dataclass
class Row:
    """One configuration; `work` in multiply-adds of a whole run."""

    name: str
    options: list[str]
    work: float
    times: list[float] = field(default_factory=list)


def output_of(command: list[str]) -> dict:
    """The one JSON object that a command prints; its notes go to the terminal."""
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def multiply_adds(program: str, network: str) -> float:
    return float(output_of([program, "inspect", "--json", "--network", network])["multiply_adds"]["best"])


def series(program: str, kind: str) -> dict[str, list[Row]]:
    """The rows of each table; the first is what the others are compared with."""

    def network(name: str, spec: str) -> Row:
        return Row(name, ["--network", spec], multiply_adds(program, spec))

    at_224 = f"{kind}:1.0@224"
    work = multiply_adds(program, at_224)
    return {
        "width, at 224 pixels": [network(f"×{width}", f"{kind}:{width}@224") for width in WIDTHS],
        "input, at width 1": [network(f"{side} pixels", f"{kind}:1.0@{side}") for side in SIDES],
        "batch, at width 1 and 224 pixels": [
            Row(f"{batch}", ["--network", at_224, "--batch", str(batch)], batch * work) for batch in BATCHES
        ],
        "precision, at width 1 and 224 pixels": [
            Row(precision, ["--network", at_224, "--precision", precision], work) for precision in ("f32", "f16")
        ],
    }


def measure(tables: dict[str, list[Row]], options: argparse.Namespace) -> None:
    rows = [row for table in tables.values() for row in table]
    common = ["bench", "--json", "--brief", "--device", options.device, "--runs", str(options.runs)]
    for round_number in range(options.rounds):
        # Nobody is always the first, or after the same one.
        first = round_number // 2 % len(rows)
        turned = rows[first:] + rows[:first]
        if round_number % 2:
            turned.reverse()
        for index, row in enumerate(turned):
            if sys.stderr.isatty():
                print(f"\rround {round_number + 1} of {options.rounds}, {index + 1} of {len(rows)} ", end="", file=sys.stderr)
            row.times += output_of([options.dynaconv, *common, *row.options])["times_ms"]
    if sys.stderr.isatty():
        print("\r" + 40 * " " + "\r", end="", file=sys.stderr)


def show(kind: str, tables: dict[str, list[Row]]) -> None:
    for title, rows in tables.items():
        print(f"\n{kind}: {title}\n")
        print("| | M multiply-adds | median ms | p10 | × work | × time | time / work |")
        print("|---|--:|--:|--:|--:|--:|--:|")
        first = statistics.median(rows[0].times)
        for row in rows:
            median, low = statistics.median(row.times), statistics.quantiles(row.times, n=10, method="inclusive")[0]
            work, time = row.work / rows[0].work, median / first
            print(f"| {row.name} | {row.work / 1e6:.0f} | {median:.1f} | {low:.1f} | {work:.2f} | {time:.2f} | {time / work:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dynaconv", default="target/release/dynaconv", help="the program")
    parser.add_argument("--device", default="gpu", help="as of `dynaconv bench`")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--runs", type=int, default=10, help="of each turn")
    parser.add_argument("--json", metavar="FILE", help="keep every single time")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    result = {}
    for kind in ("mobilenet-v2", "mobilenet-v2-dcd"):
        tables = series(options.dynaconv, kind)
        measure(tables, options)
        show(kind, tables)
        result[kind] = {title: [vars(row) for row in rows] for title, rows in tables.items()}
    print(f"\nload of the machine: {load:.1f} before, {os.getloadavg()[0]:.1f} after")
    if options.json:
        with open(options.json + ".new", "w") as file:
            json.dump(result, file)
        os.replace(options.json + ".new", options.json)


if __name__ == "__main__":
    main()

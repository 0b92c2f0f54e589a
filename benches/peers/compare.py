"""Runs dynaconv and native engines on the same networks, in turns, and prints how they compare.

    python compare.py --made ../made --dynaconv ../../target/release/dynaconv [--rounds 3] [--runs 10] [--json FILE]

A turn is a process of its own that loads the network, answers, warms up and times its runs, so no engine disturbs another, and the way
to the first answer is measured in every turn. Nobody is timed whose answer is not PyTorch's.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
NETWORKS = ["mobilenet-v2", "mobilenet-v2-dcd"]
TOLERANCE = 1e-3  # of the largest score; f32 engines differ by some 1e-5
PATIENCE = 900  # seconds for one turn: software adapters are slow

Turn = dict  # version, device, first_answer, times_ms, difference


class EngineError(Exception):
    """An engine cannot be had, or gives no right answer."""


def output_of(command: list[str | Path]) -> str:
    try:
        ended = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(str(error)) from error
    if ended.returncode != 0:
        said = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
        raise EngineError(said[-1])
    return ended.stdout


def json_of(text: str) -> Turn:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise EngineError(f"expected its result as JSON, found {text[:80]!r}") from error


def python_turn(engine: str, network: Path, options: argparse.Namespace) -> Turn:
    command = [sys.executable, HERE / "engine.py", engine, "--network", network, "--runs", options.runs]
    # ncnn says on its way what the device can do; the result is the last line.
    return json_of(output_of([*command, "--vulkan-device", options.vulkan_device]).strip().rpartition("\n")[2])


def burn_turn(engine: str, network: Path, options: argparse.Namespace) -> Turn:
    program = options.made / "burn/release/burn-bench"
    if not program.exists():
        raise EngineError(f"{program} is not built; run.sh builds it")
    return json_of(output_of([program, "--network", network, "--runs", options.runs]))


def dynaconv_turn(engine: str, network: Path, options: argparse.Namespace) -> Turn:
    device = ["--device", "cpu" if engine == "dynaconv-cpu" else options.device]
    model = ["--model", f"{network}.safetensors"]
    # First, so that a first turn finds the caches of files and pipelines as every engine's does.
    found = json_of(output_of([options.dynaconv, "bench", *model, *device, "--runs", options.runs, "--brief", "--json"]))
    with tempfile.TemporaryDirectory() as folder:
        scores = Path(folder) / "scores.npy"
        picture = network.parent / "input.npy"
        output_of([options.dynaconv, "run", *model, *device, "--batch", 1, "--input", picture, "--output", scores])
        difference = difference_of(np.load(scores), network)
    return {**found, "difference": difference}


def difference_of(scores: np.ndarray, network: Path) -> float:
    expected = np.load(f"{network}.scores.npy").ravel()
    return float(np.abs(scores.ravel() - expected).max() / np.abs(expected).max())


ENGINES: dict[str, Callable[[str, Path, argparse.Namespace], Turn]] = {
    "dynaconv-gpu": dynaconv_turn,
    "dynaconv-cpu": dynaconv_turn,
    "burn-wgpu": burn_turn,
    "ncnn-vulkan": python_turn,
    "ncnn-cpu": python_turn,
    "onnxruntime": python_turn,
    "onnxruntime-1": python_turn,
}


def measure(options: argparse.Namespace) -> tuple[dict[tuple[str, str], list[Turn]], list[dict]]:
    """The turns of every pair of network and engine that answers rightly, and why the others do not."""
    pairs = [(network, engine) for network in options.networks for engine in options.engines]
    turns: dict[tuple[str, str], list[Turn]] = {pair: [] for pair in pairs}
    failures = []
    for round in range(options.rounds):
        # Nobody is always the first, or after the same one.
        first = round // 2 % len(pairs)
        turned = (pairs[first:] + pairs[:first])[:: -1 if round % 2 else 1]
        for pair in [pair for pair in turned if pair in turns]:
            network, engine = pair
            try:
                turn = ENGINES[engine](engine, options.made / "models" / network, options)
                if not turn["difference"] <= TOLERANCE:
                    raise EngineError(f"a wrong answer: it differs from PyTorch's by {turn['difference']:.2g} of the largest score")
            except EngineError as error:
                failures.append({"engine": engine, "network": network, "reason": str(error)})
                del turns[pair]
                print(f"{engine} on {network} fails: {error}", file=sys.stderr)
                continue
            turns[pair].append(turn)
            median = float(np.median(turn["times_ms"]))
            print(f"round {round + 1} of {options.rounds}: {engine} on {network} {median:.2f} ms", file=sys.stderr)
    return turns, failures


def summary(turns: dict[tuple[str, str], list[Turn]], baseline: str) -> list[dict]:
    results = []
    for (network, engine), own in turns.items():
        times = np.concatenate([turn["times_ms"] for turn in own])
        p10, median, p90 = (float(value) for value in np.quantile(times, [0.1, 0.5, 0.9]))
        results.append(
            {
                "network": network,
                "engine": engine,
                "version": own[0]["version"],
                "device": own[0]["device"],
                "median_ms": median,
                "p10_ms": p10,
                "p90_ms": p90,
                "first_answer_ms": float(np.median([turn["first_answer"]["total_ms"] for turn in own])),
                "difference": max(turn["difference"] for turn in own),
                "times_ms": times.tolist(),
            }
        )
    medians = {(result["network"], result["engine"]): result["median_ms"] for result in results}
    for result in results:
        ours = medians.get((result["network"], baseline))
        fixed = medians.get((NETWORKS[0], result["engine"]))
        result["ratio_to_dynaconv"] = result["median_ms"] / ours if ours else None
        result["ratio_to_static"] = result["median_ms"] / fixed if fixed else None
    return results


def show(report: dict) -> None:
    before, after = report["load_before"], report["load_after"]
    print(f"{report['date']}  {report['cpu']}, {report['cores']} cores, load {before:.1f} before, {after:.1f} after")
    if before > 0.5:
        print("The machine was not quiet: of these figures only the ratios say something, and those roughly.")
    number = lambda value, digits: "–" if value is None else f"{value:.{digits}f}"  # noqa: E731
    header = ["network", "engine", "device", "median ms", "p10 – p90", "× dynaconv", "× static", "first answer ms", "difference"]
    rows = [
        [
            result["network"],
            f"{result['engine']} {result['version']}",
            result["device"],
            number(result["median_ms"], 2),
            f"{number(result['p10_ms'], 2)} – {number(result['p90_ms'], 2)}",
            number(result["ratio_to_dynaconv"], 2),
            number(result["ratio_to_static"], 2),
            number(result["first_answer_ms"], 0),
            f"{result['difference']:.1e}",
        ]
        for result in report["results"]
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        cells = [text.ljust(width) if column < 3 else text.rjust(width) for column, (text, width) in enumerate(zip(row, widths))]
        print("  ".join(cells).rstrip())
    for failure in report["failures"]:
        print(f"{failure['engine']} on {failure['network']}: {failure['reason']}")


def cpu_name() -> str:
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    names = lambda known: lambda text: [name for name in text.split(",") if name in known or sys.exit(f"'{name}' is none of {known}")]  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--made", type=Path, default=HERE.parent / "made", help="where models.sh has put the networks")
    parser.add_argument("--dynaconv", type=Path, default=HERE.parent.parent / "target/release/dynaconv")
    parser.add_argument("--device", default="gpu", help="dynaconv's GPU; must be the one that ncnn takes")
    parser.add_argument("--vulkan-device", type=int, default=0, help="ncnn's GPU, by its index")
    parser.add_argument("--engines", type=names(list(ENGINES)), default=list(ENGINES), help=f"of {','.join(ENGINES)}")
    parser.add_argument("--networks", type=names(NETWORKS), default=NETWORKS, help=f"of {','.join(NETWORKS)}")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each engine on each network")
    parser.add_argument("--runs", type=int, default=10, help="timed runs of a turn")
    parser.add_argument("--json", type=Path, help="also write everything as JSON")
    options = parser.parse_args()
    about = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
    }
    turns, failures = measure(options)
    results = summary(turns, "dynaconv-gpu" if "dynaconv-gpu" in options.engines else "dynaconv-cpu")
    report = {**about, "load_after": os.getloadavg()[0], "results": results, "failures": failures}
    show(report)
    if options.json:
        new = options.json.with_name(options.json.name + ".new")
        new.write_text(json.dumps(report, indent=1) + "\n")
        new.replace(options.json)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

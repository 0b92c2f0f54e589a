"""One engine on one network, in a process of its own: loads it, answers once, warms up, times runs, and prints one JSON object.

    python engine.py ncnn-vulkan|ncnn-cpu|onnxruntime-1|onnxruntime --network FOLDER/mobilenet-v2 --runs N

Each engine gets f32, one picture, and the input and output in the processor's memory, as `dynaconv bench` does.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Run = Callable[[np.ndarray], np.ndarray]
WARM_UP = (3, 0.5)  # runs, seconds: both at least, as in `dynaconv bench`


def ncnn_of(network: Path, device: int | None) -> tuple[Run, dict]:
    """ncnn on a Vulkan device, or on the CPU with all cores. The model is pnnx's conversion of the ONNX file."""
    import ncnn

    net = ncnn.Net()
    # Half precision is what ncnn would take where it can; all engines compute in f32 here.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    net.opt.num_threads = os.cpu_count() or 1
    name = "the CPU"
    if device is not None:
        if ncnn.get_gpu_count() <= device:
            sys.exit("ncnn finds no Vulkan device")
        net.opt.use_vulkan_compute = True
        net.set_vulkan_device(device)
        name = ncnn.get_gpu_info(device).device_name()
    if net.load_param(f"{network}.ncnn.param") or net.load_model(f"{network}.ncnn.bin"):
        sys.exit(f"ncnn cannot load {network}.ncnn.param")
    [source], [result] = net.input_names(), net.output_names()

    def run(picture: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input(source, ncnn.Mat(picture[0]))
        code, scores = extractor.extract(result)
        if code:
            sys.exit(f"ncnn fails with code {code}")
        return np.array(scores)

    return run, {"version": ncnn.__version__, "device": name}


def onnxruntime_of(network: Path, threads: int) -> tuple[Run, dict]:
    """ONNX Runtime on the CPU; no threads means one for each core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(f"{network}.onnx", options, providers=["CPUExecutionProvider"])
    run = lambda picture: session.run(["scores"], {"input": picture})[0]  # noqa: E731
    return run, {"version": onnxruntime.__version__, "device": "the CPU"}


ENGINES: dict[str, Callable[[Path, int], tuple[Run, dict]]] = {
    "ncnn-vulkan": lambda network, device: ncnn_of(network, device),
    "ncnn-cpu": lambda network, device: ncnn_of(network, None),
    "onnxruntime-1": lambda network, device: onnxruntime_of(network, 1),
    "onnxruntime": lambda network, device: onnxruntime_of(network, 0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--network", type=Path, required=True, help="path of its files without their extension")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--vulkan-device", type=int, default=0, help="index among ncnn's devices")
    options = parser.parse_args()
    picture = np.load(options.network.parent / "input.npy")
    expected = np.load(f"{options.network}.scores.npy").ravel()

    # Python and its libraries are no part of the engine: the clock starts when they are there, with the engine's own.
    importlib.import_module(options.engine.removesuffix("-1").split("-")[0])
    start = time.perf_counter()
    run, about = ENGINES[options.engine](options.network, options.vulkan_device)
    loaded = time.perf_counter()
    scores = np.asarray(run(picture), dtype=np.float64).ravel()
    first = time.perf_counter()

    while time.perf_counter() - first < WARM_UP[1]:
        run(picture)
    for _ in range(WARM_UP[0]):
        run(picture)
    times = []
    for _ in range(options.runs):
        begin = time.perf_counter()
        run(picture)
        times.append((time.perf_counter() - begin) * 1e3)
    print(
        json.dumps(
            {
                **about,
                "first_answer": {
                    "load_ms": (loaded - start) * 1e3,
                    "run_ms": (first - loaded) * 1e3,
                    "total_ms": (first - start) * 1e3,
                },
                "times_ms": times,
                "difference": float(np.abs(scores - expected).max() / np.abs(expected).max()),
            }
        )
    )


if __name__ == "__main__":
    main()

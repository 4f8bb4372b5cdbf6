#!/usr/bin/env python3
"""Other engines that Python can call, as contestants of compare_peers.py: one process per engine and thread count.

  worker.py torch CHECKPOINT HEIGHT WIDTH THREADS
  worker.py onnxruntime|opencv ONNX HEIGHT WIDTH THREADS
  worker.py export CHECKPOINT HEIGHT WIDTH ONNX     writes the ONNX file that the others read, and ends

The protocol is in ../protocol.py. Engines run with their default settings except for the number of threads.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

# The newest operator set whose Clip OpenCV before 4.7 reads: later ones pass the limits as inputs.
ONNX_OPSET = 10


def load_torch_network(checkpoint: str) -> Any:
    """torchvision's mobilenet_v2 with the weights of `checkpoint`, a state_dict, ready for inference."""
    import torch
    import torchvision

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = torchvision.models.mobilenet_v2(num_classes=len(state["classifier.1.bias"]))
    network.load_state_dict(state)
    return network.eval()


def export(checkpoint: str, height: int, width: int, path: str) -> None:
    """Writes the network as ONNX. The exporter folds BatchNorm into the convolutions: OpenCV before 4.7 refuses the
    Identity nodes that it otherwise puts before them."""
    import torch

    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        torch.onnx.export(load_torch_network(checkpoint), torch.zeros(1, 3, height, width), temporary,
                          opset_version=ONNX_OPSET, input_names=["input"], output_names=["logits"])
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


class TorchEngine:
    """PyTorch: traced, frozen, optimised for inference."""

    detail = "frozen, optimised for inference"

    def __init__(self, checkpoint: str, height: int, width: int, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.torch, self.version = torch, torch.__version__
        with torch.inference_mode():
            traced = torch.jit.trace(load_torch_network(checkpoint), torch.zeros(1, 3, height, width))
            self.network = torch.jit.optimize_for_inference(torch.jit.freeze(traced))

    def set_input(self, image: np.ndarray) -> None:
        self.input = self.torch.from_numpy(image)

    def run(self) -> np.ndarray:
        with self.torch.inference_mode():
            return self.network(self.input).numpy()


class OnnxRuntimeEngine:
    """ONNX Runtime through its Python package."""

    detail = "Python package"

    def __init__(self, onnx: str, height: int, width: int, threads: int) -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    def set_input(self, image: np.ndarray) -> None:
        self.feeds = {self.session.get_inputs()[0].name: image}

    def run(self) -> np.ndarray:
        return self.session.run(None, self.feeds)[0]


class OpenCvEngine:
    """OpenCV's DNN module on the CPU."""

    detail = "DNN module"

    def __init__(self, onnx: str, height: int, width: int, threads: int) -> None:
        import cv2

        self.version = cv2.__version__
        cv2.setNumThreads(threads)
        self.network = cv2.dnn.readNetFromONNX(onnx)

    def set_input(self, image: np.ndarray) -> None:
        self.image = image

    def run(self) -> np.ndarray:
        # An unchanged input would be an unchanged output, which forward() need not compute again.
        self.network.setInput(self.image)
        return self.network.forward()


ENGINES = {"torch": TorchEngine, "onnxruntime": OnnxRuntimeEngine, "opencv": OpenCvEngine}


def timed_runs(engine: Any, count: int) -> list[float]:
    """The milliseconds of each of `count` runs."""
    times_ms = []
    for _ in range(count):
        start = time.perf_counter()
        engine.run()
        times_ms.append((time.perf_counter() - start) * 1e3)
    return times_ms


def answer(engine: Any, line: str, height: int, width: int) -> str:
    """The reply to one request."""
    command, _, argument = line.partition(" ")
    if command == "input":
        engine.set_input(np.fromfile(argument, np.float32).reshape(1, 3, height, width))
        return "ok"
    if command == "run":
        return "ms " + " ".join(f"{ms:.9g}" for ms in timed_runs(engine, int(argument)))
    if command == "logits":
        return "logits " + " ".join(f"{value:.9g}" for value in engine.run().reshape(-1))
    raise ValueError(f"{line!r}: unknown request")


def serve(replies: TextIO, name: str, network: str, height: int, width: int, threads: int) -> None:
    """Answers requests from stdin until it ends."""
    def reply(text: str) -> None:
        print(text.replace("\n", " "), file=replies, flush=True)

    try:
        engine = ENGINES[name](network, height, width, threads)
    except Exception as error:  # whatever the engine raises is the driver's to show
        reply(f"error {type(error).__name__}: {error}")
        sys.exit(1)
    reply("ready " + json.dumps({"version": engine.version, "detail": engine.detail}))
    for line in sys.stdin:
        try:
            reply(answer(engine, line.rstrip("\n"), height, width))
        except Exception as error:
            reply(f"error {type(error).__name__}: {error}")


def main() -> None:
    name, network, height, width, last = sys.argv[1:]
    if name == "export":
        export(network, int(height), int(width), last)
        return
    # What a library prints must not get between the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(replies, name, network, int(height), int(width), int(last))


if __name__ == "__main__":
    main()

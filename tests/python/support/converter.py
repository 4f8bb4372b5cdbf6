"""What the converter's tests share: random networks, running the converter, a forward pass from the written file."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import unittest
from collections import OrderedDict
from pathlib import Path
from typing import Any, Sequence

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn  # noqa: F401  for those who import this
    from torchvision.models.mobilenetv2 import MobileNetV2
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[3]
SHARED = Path(os.environ.get("MNV2_SHARED_DIR", ROOT.parent / "shared"))
sys.path.insert(0, str(ROOT / "scripts"))

import convert_torchvision  # noqa: E402
from mnv2.convert import calibration, conversion  # noqa: E402, F401  for those who import this

calibration.SYNTHETIC_IMAGES = 2  # what most tests ask for does not depend on it, and 32 take seconds

RUN_NETWORK = os.environ.get("MNV2_RUN_NETWORK")  # the C++ engine as a test tool
EMULATOR = os.environ.get("MNV2_EMULATOR", "").split()  # what runs it when it is not for this machine
TOLERANCE = 1e-4  # of the largest |logit|
torch.set_num_threads(1)  # the networks are small, and ctest runs several tests at a time


def random_network(seed: int, **options: Any) -> MobileNetV2:
    """torchvision's MobileNetV2, randomised."""
    torch.manual_seed(seed)
    return randomise(MobileNetV2(**options))


def randomise(network: torch.nn.Module) -> Any:
    """`network` in eval mode with random weights and BatchNorm statistics, and activations of a sensible size.

    The statistics are measured on noise and then disturbed, because arbitrary ones would drive all activations into a
    clamp. A quarter of the channels have such small weights that BatchNorm's eps matters.
    """
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                quiet = torch.rand(module.out_channels) < 0.25
                module.weight[quiet] *= 0.01
                if module.bias is not None:
                    # As small as the filters: BatchNorm would lift PyTorch's own rounding of a larger one.
                    module.bias.copy_(torch.randn(module.out_channels) * module.weight.abs().mean((1, 2, 3)))
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # plain averages
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0.5, 0.5)
            elif isinstance(module, torch.nn.Linear):
                module.weight.normal_()
                if module.bias is not None:
                    module.bias.normal_()
        network.train()
        network(torch.randn(4, 3, 64, 64))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean += 0.3 * torch.randn_like(module.running_mean) * module.running_var.sqrt()
                module.running_var *= torch.empty_like(module.running_var).uniform_(0.5, 2.0)
    return network.eval()


NETWORK = random_network(1, width_mult=0.1, num_classes=3)  # converts in milliseconds


def state() -> "OrderedDict[str, torch.Tensor]":
    """A fresh state_dict that a test may spoil."""
    return OrderedDict((name, tensor.clone()) for name, tensor in NETWORK.state_dict().items())


def strides_of(network: MobileNetV2) -> list[int]:
    """The stride of each inverted residual, as the module knows it."""
    return [block.stride for block in network.features[1:-1]]


def forward(metadata: dict[str, str], tensors: dict[str, np.ndarray], images: torch.Tensor) -> np.ndarray:
    """Logits [N, classes] (without classifier the embedding) for normalised `images` [N, 3, H, W], from nothing but
    what a model file holds."""
    architecture = json.loads(metadata["architecture"])

    def run(x: torch.Tensor, name: str, layer: dict[str, Any]) -> torch.Tensor:
        weight, bias = (torch.from_numpy(tensors[f"{name}.{part}"].copy()) for part in ("weight", "bias"))
        if layer["kind"] == "linear":
            x = F.linear(x, weight, bias)
        else:
            groups = layer["in_channels"] if layer["kind"] == "depthwise" else 1
            x = F.conv2d(pad(x, layer), weight, bias, layer["stride"], groups=groups)
        return x if layer["clamp"] is None else x.clamp(*layer["clamp"])

    def pad(x: torch.Tensor, layer: dict[str, Any]) -> torch.Tensor:
        if architecture["padding"] == "same":
            return pad_same(x, layer["kernel"], layer["stride"])
        return F.pad(x, [(layer["kernel"] - 1) // 2] * 4)

    with torch.no_grad():
        x = run(images, "stem", architecture["stem"])
        for i, block in enumerate(architecture["blocks"]):
            y = x
            for part in ("expand", "depthwise", "project"):
                if block[part] is not None:
                    y = run(y, f"blocks.{i}.{part}", block[part])
            x = x + y if block["residual"] else y
        if architecture["head"] is not None:
            x = run(x, "head", architecture["head"])
        x = x.mean((2, 3))
        classifier = architecture["classifier"]
        if isinstance(classifier, list):
            for i, layer in enumerate(classifier):
                x = run(x, f"classifier.{i}", layer)
            return x.numpy()
        return (x if classifier is None else run(x, "classifier", classifier)).numpy()


def pad_same(x: torch.Tensor, kernel: int, stride: int) -> torch.Tensor:
    """TensorFlow's SAME, as its documentation has it: as much as the last window needs, the odd one at the end."""
    pads = []
    for size in (x.shape[3], x.shape[2]):
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def parse_model_file(path: Path) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """(metadata, tensors as float32), read as the safetensors format says, without the project's own reader."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        size = {"F32": 4, "BF16": 2}[entry["dtype"]]
        assert end - begin == size * math.prod(entry["shape"]) and begin % size == 0, name
        raw = data[8 + length + begin:8 + length + end]
        if size == 2:  # the upper half of a float32
            raw = b"".join(b"\0\0" + raw[i:i + 2] for i in range(0, len(raw), 2))
        tensors[name] = np.frombuffer(raw, "<f4").reshape(entry["shape"])
    return metadata, tensors


def parse_dtypes(path: Path) -> dict[str, str]:
    """The safetensors type of each tensor, in the file's order."""
    data = path.read_bytes()
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    del header["__metadata__"]
    return {name: entry["dtype"] for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"])}


class ConverterCase(unittest.TestCase):
    """A temporary folder, and the converter run in this process."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.output = self.folder / "model.safetensors"

    def run_converter(self, *arguments: Any) -> tuple[int, str]:
        """(exit status, stderr); --output is `self.output`."""
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            try:
                status = convert_torchvision.main([*map(str, arguments), "--output", str(self.output)])
            except SystemExit as stop:
                status = int(stop.code or 0)
        return status, stderr.getvalue()

    def save(self, checkpoint: Any, name: str = "checkpoint.pth", **options: Any) -> Path:
        path = self.folder / name
        torch.save(checkpoint, path, **options)
        return path

    def convert(self, checkpoint: Any, *arguments: Any) -> tuple[dict[str, str], dict[str, np.ndarray]]:
        """What the model file holds after a conversion that must succeed."""
        status, stderr = self.run_converter("--checkpoint", self.save(checkpoint), *arguments)
        self.assertEqual(status, 0, stderr)
        return parse_model_file(self.output)

    def assert_refused(self, path: Path, message: str, *arguments: Any, status: int = 1) -> str:
        """The conversion of `path` fails with one line that holds `message`, and leaves no file behind."""
        before = sorted(self.folder.iterdir())
        found, stderr = self.run_converter("--checkpoint", path, *arguments)
        self.assertEqual(found, status, stderr)
        self.assertIn(message, stderr)
        if status == 1:
            self.assertEqual(stderr.count("\n"), 1, stderr)
            self.assertTrue(stderr.startswith("convert_torchvision.py: "), stderr)
        self.assertEqual(sorted(self.folder.iterdir()), before)
        return stderr


class EngineCase(ConverterCase):
    """Compares outputs with PyTorch's, those of the engine too."""

    def compare(self, outputs: np.ndarray, expected: np.ndarray, what: str) -> None:
        self.assertEqual(outputs.shape, expected.shape)
        # What the network says must depend on the picture, or agreeing would mean little.
        self.assertGreater(np.abs(expected[0] - expected[1]).max(), 1e-2 * np.abs(expected).max())
        self.assertLessEqual(np.abs(outputs - expected).max(), TOLERANCE * np.abs(expected).max(), what)

    def isas(self) -> list[str]:
        listed = subprocess.run([*EMULATOR, RUN_NETWORK, "--list-isas"], check=True, stdout=subprocess.PIPE, text=True)
        names = listed.stdout.split()
        self.assertTrue(names)
        return names

    def run_engine(self, images: torch.Tensor, outputs: int, isa: str, threads: Sequence[int]) -> np.ndarray:
        """What the engine gives for `images` [N, 3, H, W] with the model file `self.output`: [N, outputs].

        All of `threads` must give the same bits.
        """
        source, result = self.folder / "in.f32", self.folder / "out.f32"
        source.write_bytes(images.numpy().astype("<f4").tobytes())
        size = "x".join(map(str, images.shape[2:]))
        subprocess.run([*EMULATOR, RUN_NETWORK, str(self.output), "--isa", isa, "--threads", ",".join(map(str, threads)),
                        "--size", size, str(source), str(result)], check=True)
        runs = np.fromfile(result, "<f4").reshape(len(threads), len(images), outputs)
        for count, run in zip(threads, runs):
            self.assertEqual(run.tobytes(), runs[0].tobytes(), f"{isa}, {size}: {count} threads, against {threads[0]}")
        return runs[0]

"""Folders as transformers saves MobileNetV1 and V2, with every part of their configuration that says something."""

from __future__ import annotations

import json
import struct
import unittest
from pathlib import Path
from typing import Any

from support.any_network import AnyNetwork, classic_network
from support.convert import ConvertCase
from support.converter import np, torch

IMAGES = {"do_resize": True, "size": {"shortest_edge": 256}, "resample": 2, "do_center_crop": True,
          "crop_size": {"height": 224, "width": 224}, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
          "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def their_name(name: str, version: int) -> str:
    if version == 1:
        if name == "Conv1":
            return "mobilenet_v1.conv_stem"
        _, kind, number = name.split("_")
        return f"mobilenet_v1.layer.{2 * int(number) - 2 + (kind == 'pw')}"
    part = {"expand": "expand_1x1", "depthwise": "conv_3x3", "project": "reduce_1x1"}.get(name.rpartition("_")[2], "")
    if name in ("Conv1", "Conv_1"):
        return {"Conv1": "mobilenet_v2.conv_stem.first_conv", "Conv_1": "mobilenet_v2.conv_1x1"}[name]
    if name.startswith("expanded_conv"):
        return f"mobilenet_v2.conv_stem.{part}"
    return f"mobilenet_v2.layer.{int(name.split('_')[1]) - 1}.{part}"


def state_dict(network: AnyNetwork, version: int) -> dict[str, np.ndarray]:
    state: dict[str, np.ndarray] = {}
    for step in network.steps:
        if step.kind == "conv":
            state[f"{their_name(step.name, version)}.convolution.weight"] = step.weight
        elif step.kind == "norm":
            prefix = f"{their_name(step.name[:-3], version)}.normalization"
            for part, values in (("weight", "gamma"), ("bias", "beta"), ("running_mean", "mean"), ("running_var", "variance")):
                state[f"{prefix}.{part}"] = step.norm[values]
        elif step.kind == "dense":
            state |= {"classifier.weight": step.weight, "classifier.bias": step.bias}
    return state


def write_safetensors(path: Path, state: dict[str, np.ndarray]) -> None:
    """Sorted by name, as their library does."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(state):
        raw = np.ascontiguousarray(state[name], "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(state[name].shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class HuggingFace(ConvertCase):
    def write(self, network: AnyNetwork, version: int, binary: bool = False, images: Any = None, **config: Any) -> Path:
        folder = self.folder / "model"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        state = state_dict(network, version)
        if binary:
            torch.save({name: torch.from_numpy(values) for name, values in state.items()}, folder / "pytorch_model.bin")
        else:
            write_safetensors(folder / "model.safetensors", state)
        (folder / "config.json").write_text(json.dumps({
            "model_type": f"mobilenet_v{version}", "tf_padding": network.same, "layer_norm_eps": 0.001, "hidden_act": "relu6",
            "output_stride": 32, "id2label": {str(i): f"name {i}" for i in range(len(state["classifier.bias"]))}, **config}))
        if images is not None:
            (folder / "preprocessor_config.json").write_text(json.dumps(images))
        return folder

    def test_random_networks(self) -> None:
        for seed in range(20):
            with self.subTest(seed=seed):
                version = 1 + seed % 2
                network = classic_network(version, seed, (0.25, 0.35, 0.5)[seed % 3], 64, 3 + seed, same=seed % 4 < 3)
                folder = self.write(network, version, binary=seed % 5 == 0, images=IMAGES)
                metadata, said = self.converted(folder)
                images = network.images()
                self.compare_file(images, network.run(images))
                self.assertEqual(metadata["labels"], [f"name {i}" for i in range(3 + seed)])
                self.assertEqual(metadata["preprocessing"], {"resize": 256, "crop": 224, "mean": [0.5] * 3, "std": [0.5] * 3,
                                                             "interpolation": "bilinear", "form": "crop-floor"})
                self.assertEqual(metadata["architecture"]["padding"], "same" if network.same else "symmetric")

    def test_images(self) -> None:
        network = classic_network(2, 1)
        for changes, expected in (
                ({"resample": 3, "crop_size": 160, "size": 182}, {"interpolation": "bicubic", "crop": 160, "resize": 182}),
                ({"size": {"height": 192, "width": 192}, "do_center_crop": False, "resample": 0},
                 {"form": "squash", "resize": 192, "crop": 192, "interpolation": "nearest"}),
                ({"do_normalize": False}, {"mean": [0, 0, 0], "std": [1, 1, 1]}),
                ({"rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]}, {"mean": [0.5] * 3, "std": [0.5] * 3})):
            metadata, _ = self.converted(self.write(network, 2, images={**IMAGES, **changes}))
            self.assertEqual({key: metadata["preprocessing"][key] for key in expected}, expected)
        self.refused(self.write(network, 2, images={**IMAGES, "resample": 5}), "resample 5, expected one of 0, 1, 2, 3")
        self.refused(self.write(network, 2, images={**IMAGES, "crop_size": {"height": 224, "width": 200}}), "expected a square")
        self.assertIn("the processor's defaults", self.converted(self.write(network, 2))[1])

    def test_what_is_refused(self) -> None:
        network = classic_network(2, 1)
        self.refused(self.write(network, 2, output_stride=16), "dilated convolutions")
        self.refused(self.write(network, 2, model_type="vit"), "a model of the type vit")
        self.refused(self.write(network, 2, hidden_act="gelu"), "the activation gelu")
        folder = self.write(network, 2)
        (folder / "model.safetensors").unlink()
        self.refused(folder, "neither model.safetensors nor pytorch_model.bin")
        (folder / "config.json").write_text("{")
        self.refused(folder, "damaged JSON")
        (folder / "config.json").unlink()
        self.refused(folder, "a folder without model.json (TensorFlow.js) or config.json (Hugging Face)")

    def test_spoiled_files(self) -> None:
        folder = self.write(classic_network(1, 1), 1, images=IMAGES)
        rng = np.random.default_rng(3)
        for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
            data = (folder / name).read_bytes()
            for seed in range(40):
                spoiled = bytearray(data)
                if seed % 3 == 0:
                    del spoiled[int(rng.integers(0, len(data))):]
                for place in rng.integers(0, min(len(data), 20000), 3):
                    if place < len(spoiled):
                        spoiled[place] = int(rng.integers(0, 256))
                (folder / name).write_bytes(bytes(spoiled))
                status, said = self.run_convert(folder)
                self.assertIn(status, (0, 1), said)
                self.assertTrue(said.startswith("convert.py: "), said)
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    unittest.main(verbosity=2)

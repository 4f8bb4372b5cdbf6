"""Keras' HDF5 files, Teachable Machine's above all, and TensorFlow.js' layers-models: random networks of every kind of head."""

from __future__ import annotations

import copy
import json
import shutil
import unittest
from typing import Any

from support.any_network import AnyNetwork, random_any_network, teachable_network
from support.convert import ConvertCase
from support.converter import SHARED, forward, np, parse_model_file, torch
from support.keras_writer import keras_model, write_h5, write_tfjs
from support.tf_graph_writer import write_graph_model

try:
    import h5py
except ImportError:
    h5py = None
NEEDS_H5PY = unittest.skipIf(h5py is None, "SKIPPED: no h5py (Debian: python3-h5py)")


class KerasCase(ConvertCase):
    def check(self, source: Any, network: AnyNetwork, *arguments: Any) -> tuple[dict[str, Any], str]:
        metadata, said = self.converted(source, *arguments)
        images = network.images()
        self.compare_file(images, network.run(images))
        architecture = metadata["architecture"]
        expected = {step.kind for step in network.steps} & {"softmax", "sigmoid"}
        self.assertEqual({architecture.get("output_activation", "softmax")}, expected)
        self.assertEqual(metadata["preprocessing"]["crop"], network.side)
        return metadata, said


@NEEDS_H5PY
class Hdf5(KerasCase):
    def test_random_networks(self) -> None:
        for seed in range(24):
            with self.subTest(seed=seed):
                network = random_any_network(seed)
                config, weights = keras_model(network, nested=seed % 3 == 0, explicit_pads=seed % 4 < 2)
                write_h5(self.folder / "model.h5", config, weights)
                metadata, _ = self.check(self.folder / "model.h5", network)
                self.assertEqual(metadata["preprocessing"]["form"], "squash-half-pixel")
                self.assertEqual(metadata["preprocessing"]["mean"], [0.5] * 3)

    def test_teachable_machine(self) -> None:
        network = teachable_network(1)
        write_h5(self.folder / "keras_model.h5", *keras_model(network, nested=True))
        (self.folder / "labels.txt").write_text("0 hot dog\n1 not hot dog\n2 3 dogs\n")
        metadata, said = self.check(self.folder / "keras_model.h5", network)
        self.assertEqual(metadata["labels"], ["hot dog", "not hot dog", "3 dogs"])
        self.assertEqual(metadata["preprocessing"], {"resize": 224, "crop": 224, "mean": [0.5] * 3, "std": [0.5] * 3,
                                                     "interpolation": "lanczos", "form": "fit"})
        self.assertEqual([layer["clamp"] for layer in metadata["architecture"]["classifier"]], [[0, None], None])
        self.assertIn("Teachable Machine's Keras model", said)
        self.assertIn("labels of labels.txt beside it", said)

    def test_normalisation_inside(self) -> None:
        network = random_any_network(2)
        for scale, offset, mean, std in ((1 / 127.5, -1.0, [0.5] * 3, [0.5] * 3), (1 / 255, 0.0, [0.0] * 3, [1.0] * 3)):
            write_h5(self.folder / "model.h5", *keras_model(network, rescaling={"scale": scale, "offset": offset}))
            metadata, said = self.check(self.folder / "model.h5", network)
            self.assertEqual([metadata["preprocessing"][key] for key in ("mean", "std")], [mean, std])
            self.assertIn("the network's own normalisation", said)

    def test_flags_win(self) -> None:
        network = random_any_network(4)
        write_h5(self.folder / "m.h5", *keras_model(network))
        metadata, _ = self.converted(self.folder / "m.h5", "--resize-form", "crop", "--crop", "96", "--resize", "120", "--mean",
                                     "0.1,0.2,0.3", "--std", "1,2,3", "--interpolation", "bicubic", "--output-activation", "none")
        self.assertEqual(metadata["preprocessing"], {"resize": 120, "crop": 96, "mean": [0.1, 0.2, 0.3], "std": [1, 2, 3],
                                                     "interpolation": "bicubic"})
        self.assertEqual(metadata["architecture"]["output_activation"], "none")
        metadata, _ = self.converted(self.folder / "m.h5", "--resize-form", "squash", "--resize", "96", "--interpolation", "nearest")
        self.assertEqual((metadata["preprocessing"]["resize"], metadata["preprocessing"]["crop"]), (96, 96))
        self.refused(self.folder / "m.h5", "has one side", "--resize-form", "fit", "--resize", "100", "--crop", "96")

    def spoiled(self, change: Any, seed: int = 3, **options: Any) -> Any:
        """A file of a network after `change(entries by name, weights)`."""
        config, weights = keras_model(random_any_network(seed, same=True), **options)
        change({entry["name"]: entry for entry in config["config"]["layers"]}, weights)
        path = self.folder / "spoiled.h5"
        write_h5(path, config, weights)
        return path

    def test_what_is_no_mobilenet(self) -> None:
        def pooling(entries: dict[str, Any], _: Any) -> None:
            entries["global_average_pooling2d"]["class_name"] = "GlobalMaxPooling2D"

        def flatten(entries: dict[str, Any], _: Any) -> None:
            entries["global_average_pooling2d"]["class_name"] = "Flatten"

        def dilation(entries: dict[str, Any], _: Any) -> None:
            entries["conv_dw_2"]["config"]["dilation_rate"] = [2, 2]

        def code(entries: dict[str, Any], _: Any) -> None:
            entries["global_average_pooling2d"].update(class_name="Lambda")

        def kernel(_: Any, weights: Any) -> None:
            weights["conv_dw_2"]["depthwise_kernel"] = np.ones((5, 5, *weights["conv_dw_2"]["depthwise_kernel"].shape[2:]), "f4")

        def missing(_: Any, weights: Any) -> None:
            del weights["conv_dw_2"]["depthwise_kernel"]

        def channels(_: Any, weights: Any) -> None:
            weights["conv_pw_2"]["kernel"] = np.ones((1, 1, 3, 5), "f4")

        def two_outputs(entries: dict[str, Any], _: Any) -> None:
            entries["conv_dw_2"]["class_name"] = "SeparableConv2D"

        for change, message in ((pooling, "the maximum over pixels"), (flatten, "flattens a map of "), (dilation, "no dilation"),
                                (code, "Python code"), (kernel, "a 5x5 depthwise convolution, expected a 3x3 one"),
                                (missing, "conv_dw_2: a DepthwiseConv2D without its depthwise_kernel"),
                                (channels, "conv_pw_2: takes 3 channels"), (two_outputs, "a layer SeparableConv2D, which no Mobile")):
            with self.subTest(message=message):
                self.refused(self.spoiled(change), message)

    def test_odd_sides_of_mobilenet_v1(self) -> None:
        """Keras pads ((0,1),(0,1)) whatever the side; on an odd one that is neither SAME nor symmetric."""
        def pad(entries: dict[str, Any], _: Any) -> None:
            for name, entry in entries.items():
                if name.endswith("_pad"):
                    entry["config"]["padding"] = [[0, 1], [0, 1]]

        network = random_any_network(5, same=True, sides=(60,))  # 60, 30, 15
        config, weights = keras_model(network, explicit_pads=True)
        pad({entry["name"]: entry for entry in config["config"]["layers"]}, weights)
        write_h5(self.folder / "odd.h5", config, weights)
        self.refused(self.folder / "odd.h5", "of a map of 15x15 with stride 2: neither 1 on every side nor as TensorFlow's SAME")

    def test_files_that_are_no_model(self) -> None:
        (self.folder / "a.h5").write_bytes(b"no HDF5")
        self.refused(self.folder / "a.h5", "no HDF5 file, whatever its name says")
        with h5py.File(self.folder / "b.h5", "w") as file:
            file.attrs["layer_names"] = [b"x"]
        self.refused(self.folder / "b.h5", "weights without the model they belong to")
        with h5py.File(self.folder / "c.h5", "w") as file:
            file.create_group("model_weights")
            file.attrs["model_config"] = b"{"
        self.refused(self.folder / "c.h5", "damaged")

    def test_spoiled_files(self) -> None:
        write_h5(self.folder / "m.h5", *keras_model(random_any_network(3, sides=(32,))))
        self.fuzz((self.folder / "m.h5").read_bytes(), "f.h5", range(40))


class LayersModel(KerasCase):
    def test_random_networks(self) -> None:
        for seed in range(24):
            with self.subTest(seed=seed):
                network = random_any_network(seed)
                config, weights = keras_model(network, nested=seed % 3 == 0)
                quantise = (None, None, "uint8", "uint16", "float16")[seed % 5]
                model = write_tfjs(self.folder, config, weights, quantise, shards=1 + seed % 3)
                if quantise is not None:
                    network = rounded(network, quantise)
                metadata, _ = self.check(self.folder if seed % 2 else model, network)
                self.assertEqual(metadata["preprocessing"]["form"], "squash-align-corners")
                self.assertEqual([metadata["preprocessing"][key] for key in ("mean", "std")], [[0] * 3, [1] * 3])

    def test_damaged_folders(self) -> None:
        model = write_tfjs(self.folder, *keras_model(random_any_network(3, sides=(32,))), shards=2)
        shard = self.folder / "group1-shard2of2.bin"
        whole = shard.read_bytes()
        shard.write_bytes(whole[:-4])
        self.refused(self.folder, "but the files of weights end after")
        shard.write_bytes(whole + b"0000")
        self.refused(self.folder, "4 bytes of weights that belong to none")
        shard.unlink()
        self.refused(self.folder, "group1-shard2of2.bin is missing")
        text = model.read_text()
        for spoiled, message in ((text[:100], "damaged JSON"), (text.replace("group1-shard2of2.bin", "../x.bin"), "another folder"),
                                 (text.replace("weightsManifest", "weights"), "no weightsManifest")):
            model.write_text(spoiled)
            self.refused(model, message)

    def test_spoiled_files(self) -> None:
        model = write_tfjs(self.folder, *keras_model(random_any_network(3, sides=(32,))))
        self.fuzz(model.read_bytes(), "model.json", range(120))


class GraphModel(KerasCase):
    def test_random_networks(self) -> None:
        for seed in range(24):
            with self.subTest(seed=seed):
                network = random_any_network(seed)
                write_graph_model(self.folder, network, fused=seed % 3 > 0, rescale=seed % 5 == 0, window=seed % 4 == 0)
                metadata, said = self.check(self.folder, network)
                self.assertIn("TensorFlow.js graph-model", said)
                self.assertEqual(metadata["preprocessing"]["mean"], [0.5] * 3 if seed % 5 == 0 else [0] * 3)

    def test_spoiled_files(self) -> None:
        write_graph_model(self.folder, random_any_network(3, sides=(32,)))
        self.fuzz((self.folder / "model.json").read_bytes(), "model.json", range(100))


def rounded(network: AnyNetwork, kind: str) -> AnyNetwork:
    """`network` with the weights that quantising leaves."""
    def approximate(values: Any) -> Any:
        if values is None:
            return None
        if kind == "float16":
            return values.astype(np.float16).astype(np.float32)
        low, most = float(values.min()), np.iinfo(kind).max
        scale = (float(values.max()) - low) / most or 1.0
        return (np.round((values.astype(np.float64) - low) / scale) * scale + low).astype(np.float32)

    network = copy.deepcopy(network)
    for step in network.steps:
        step.weight, step.bias = approximate(step.weight), approximate(step.bias)
        step.norm = {part: approximate(values) for part, values in step.norm.items()}
    return network


REFERENCE = SHARED / "reference" / "teachable"


@unittest.skipUnless(REFERENCE.is_dir(), f"SKIPPED: no {REFERENCE}")
class TeachableMachine(ConvertCase):
    def test_probabilities(self) -> None:
        """Those that TensorFlow.js gives for eight photos, with either normalisation."""
        from PIL import Image

        metadata, said = self.converted(REFERENCE)
        self.assertEqual(metadata["labels"], json.loads((REFERENCE / "metadata.json").read_text())["labels"])
        self.assertIn("Teachable Machine's TensorFlow.js", said)
        names = (REFERENCE / "photos.txt").read_text().split()[:8]
        photos = [Image.open(SHARED / "images" / "dev" / name).convert("RGB").resize((224, 224), Image.BILINEAR) for name in names]
        pixels = np.stack([np.asarray(photo, np.float64).transpose(2, 0, 1) for photo in photos])
        for name, divisor in (("127", 127.0), ("127_5", 127.5)):
            expected = np.load(REFERENCE / f"photos_first8_probabilities_div{name}.npy")
            outputs = forward(self.raw, self.tensors, torch.from_numpy((pixels / divisor - 1).astype(np.float32)))
            found = np.exp(outputs - outputs.max(1, keepdims=True))
            found /= found.sum(1, keepdims=True)
            self.assertLessEqual(np.abs(found - expected).max(), 2e-6)

    def test_spoiled_weights(self) -> None:
        for name in ("model.json", "weights.bin", "metadata.json"):
            shutil.copy(REFERENCE / name, self.folder)
        weights = (self.folder / "weights.bin").read_bytes()
        (self.folder / "weights.bin").write_bytes(np.float32(np.nan).tobytes() * (len(weights) // 4))
        self.refused(self.folder, "not finite")
        (self.folder / "metadata.json").write_text("{")
        (self.folder / "weights.bin").write_bytes(weights)
        self.assertNotIn("labels", self.converted(self.folder)[0])
        self.assertEqual(parse_model_file(self.output)[0]["format_version"], "4")


if __name__ == "__main__":
    unittest.main(verbosity=2)

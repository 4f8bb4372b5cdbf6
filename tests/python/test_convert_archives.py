"""Keras' own archives (.keras), and zip archives as sites hand them out."""

from __future__ import annotations

import io
import sys
import unittest
import zipfile
from typing import Any

from support.any_network import random_any_network, teachable_network
from support.convert import ConvertCase
from support.converter import NETWORK, np, state, torch

try:
    import h5py  # noqa: F401
except ImportError:
    print("SKIPPED: no h5py (Debian: python3-h5py)")
    sys.exit(77)
from support.keras_writer import keras_model, write_h5, write_keras, write_tfjs


class Keras(ConvertCase):
    def test_random_networks(self) -> None:
        for seed in range(20):
            with self.subTest(seed=seed):
                network = random_any_network(seed)
                config, weights = keras_model(network, nested=seed % 3 == 0, keras3=True,
                                              rescaling={"scale": 1 / 127.5, "offset": -1} if seed % 4 == 0 else None)
                write_keras(self.folder / "model.keras", config, weights)
                metadata, said = self.converted(self.folder / "model.keras")
                images = network.images()
                self.compare_file(images, network.run(images))
                self.assertIn("Keras model (.keras)", said)

    def test_preprocess_input_inside(self) -> None:
        """Keras 3 leaves TrueDivide and Subtract, Keras 2 TFOpLambda."""
        network = random_any_network(2)
        for keras3 in (True, False):
            config, weights = keras_model(network, keras3=keras3)
            layers = config["config"]["layers"]
            tensor = lambda name: {"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}}  # noqa: E731
            for place, (kind, function, value, source) in enumerate((("TrueDivide", "math.truediv", 127.5, "input_1"),
                                                                     ("Subtract", "math.subtract", 1.0, "op_0")), 1):
                name = f"op_{place - 1}"
                layers.insert(place, {"class_name": kind if keras3 else "TFOpLambda", "name": name,
                                      "config": {"name": name} | ({} if keras3 else {"function": function}),
                                      "inbound_nodes": [{"args": [tensor(source), value], "kwargs": {}}] if keras3 else
                                      [[source, 0, 0, {"y": value, "name": None}]]})
            following = layers[3]
            following["inbound_nodes"] = [{"args": [tensor("op_1")], "kwargs": {}}] if keras3 else [[["op_1", 0, 0, {}]]]
            path = self.folder / ("m.keras" if keras3 else "m.h5")
            (write_keras if keras3 else write_h5)(path, config, weights)
            metadata, said = self.converted(path)
            self.assertEqual((metadata["preprocessing"]["mean"], metadata["preprocessing"]["std"]), ([0.5] * 3, [0.5] * 3))
            self.assertIn("the network's own normalisation", said)
            images = network.images()
            self.compare_file(images, network.run(images))

    def test_spoiled_files(self) -> None:
        write_keras(self.folder / "m.keras", *keras_model(random_any_network(3, sides=(32,)), keras3=True))
        self.fuzz((self.folder / "m.keras").read_bytes(), "f.keras", range(40))


class Zip(ConvertCase):
    def write(self, **files: bytes) -> Any:
        path = self.folder / "download.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
        return path

    def test_teachable_machine(self) -> None:
        network = teachable_network(1)
        write_h5(self.folder / "m.h5", *keras_model(network, nested=True))
        path = self.write(converted_keras__keras_model_dot_h5=(self.folder / "m.h5").read_bytes(),
                          converted_keras__labels_dot_txt=b"0 a\n1 b\n2 c\n")
        metadata, said = self.converted(path)
        self.assertEqual(metadata["labels"], ["a", "b", "c"])
        self.assertIn("Teachable Machine's Keras model (HDF5) in .zip", said)
        images = network.images()
        self.compare_file(images, network.run(images))

    def test_spoiled_archives(self) -> None:
        network = random_any_network(3, sides=(32,))
        write_h5(self.folder / "m.h5", *keras_model(network))
        write_tfjs(self.folder, *keras_model(network))
        for files in ({"keras_model_dot_h5": "m.h5"}, {"model_dot_json": "model.json", "weights_dot_bin": "weights.bin"}):
            path = self.write(labels_dot_txt=b"0 a\n", **{name: (self.folder / file).read_bytes() for name, file in files.items()})
            self.fuzz(path.read_bytes(), "f.zip", range(45))

    def test_others(self) -> None:
        network = random_any_network(2)
        write_tfjs(self.folder, *keras_model(network))
        names = {"my_model__model_dot_json": "model.json", "my_model__weights_dot_bin": "weights.bin"}
        self.converted(self.write(**{name: (self.folder / file).read_bytes() for name, file in names.items()}))
        memory = io.BytesIO()
        torch.save(state(), memory)
        self.converted(self.write(best_dot_pth=memory.getvalue()))
        images = np.random.default_rng(1).normal(0, 1, (2, 3, 64, 64)).astype(np.float32)
        with torch.no_grad():
            self.compare_file(images, NETWORK(torch.from_numpy(images)).numpy())

    def test_what_is_refused(self) -> None:
        self.assertIn("download.zip: 0 models in it", self.refused(self.write(a_dot_txt=b"x"), "no file of such a name"))
        self.refused(self.write(a_dot_h5=b"x", b_dot_tflite=b"y"), "2 models in it (a.h5, b.tflite)")
        self.refused(self.write(a_dot_h5=b"x", dir__a_dot_h5=b"y"), "two files of the name a.h5")
        self.assertIn("download.zip: a.h5: no HDF5 file", self.refused(self.write(a_dot_h5=b"x"), "no HDF5 file"))
        path = self.write(a_dot_h5=b"x" * 10000)
        path.write_bytes(path.read_bytes()[:60])
        self.refused(path, "damaged zip archive")


if __name__ == "__main__":
    unittest.main(verbosity=2)

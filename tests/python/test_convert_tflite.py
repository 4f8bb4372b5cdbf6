"""TFLite files: random networks with float, float16 and int8 weights, written by the schema; and spoiled ones."""

from __future__ import annotations

import io
import sys
import unittest
import zipfile

from support.any_network import random_any_network, teachable_network
from support.convert import ConvertCase
from support.converter import np

try:
    import flatbuffers  # noqa: F401
except ImportError:
    print("SKIPPED: no flatbuffers (Debian: python3-flatbuffers)")
    sys.exit(77)
from support.tflite_writer import TfliteWriter


class Tflite(ConvertCase):
    def test_random_networks(self) -> None:
        for seed in range(24):
            with self.subTest(seed=seed):
                kind = ("float32", "float32", "float16", "int8")[seed % 4]
                network = random_any_network(seed)
                path = self.folder / "model.tflite"
                path.write_bytes(TfliteWriter(network, kind, window=seed % 3 == 0).write())
                if kind == "float16":
                    for step, follows in zip(network.steps, [*network.steps[1:], None]):
                        if step.kind == "dense":
                            step.weight = step.weight.astype(np.float16).astype(np.float32)
                        if step.kind == "conv":
                            scale = 1.0
                            if follows is not None and follows.kind == "norm":
                                scale = follows.norm["gamma"] / np.sqrt(follows.norm["variance"].astype(np.float64) + follows.eps)
                                scale = scale.reshape(-1, 1, 1, 1)
                            step.weight = (step.weight * scale).astype(np.float16).astype(np.float64) / scale
                metadata, said = self.converted(path)
                images = network.images()
                self.compare_file(images, network.run(images), kind)
                self.assertEqual("agrees with its own integer arithmetic only approximately" in said, kind == "int8")
                if kind == "int8":  # (q - 127) / 127.5 for a byte q
                    np.testing.assert_allclose(metadata["preprocessing"]["mean"], 127 / 255, rtol=1e-6)
                    np.testing.assert_allclose(metadata["preprocessing"]["std"], 0.5, rtol=1e-6)

    def test_teachable_machine_with_labels_inside_or_beside(self) -> None:
        data = TfliteWriter(teachable_network(1)).write()
        path = self.folder / "model_unquant.tflite"
        path.write_bytes(data)
        (self.folder / "labels.txt").write_text("0 a\n1 b\n2 c\n")
        metadata, said = self.converted(path)
        self.assertEqual((metadata["labels"], metadata["preprocessing"]["form"]), (["a", "b", "c"], "fit"))
        self.assertIn("Teachable Machine's TFLite model", said)
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as files:
            files.writestr("labels.txt", "x\ny\nz\n")
        path.write_bytes(data + archive.getvalue())
        self.assertEqual(self.converted(path)[0]["labels"], ["x", "y", "z"])

    def seed_of_softmax(self) -> int:
        return next(seed for seed in range(99) if random_any_network(seed, sides=(80,)).steps[-1].kind == "softmax")

    def test_what_is_no_mobilenet(self) -> None:
        from support import tflite_writer

        codes = dict(tflite_writer.CODES)
        for code, number, message in (("MEAN", 82, "takes the maximum over pixels"), ("MEAN", 22, "flattens a map of "),
                                      ("SOFTMAX", 98, "an operation number 98")):
            tflite_writer.CODES[code] = number
            try:
                data = TfliteWriter(random_any_network(self.seed_of_softmax(), sides=(80,))).write()
            finally:
                tflite_writer.CODES.update(codes)
            path = self.folder / "x.tflite"
            path.write_bytes(data)
            self.refused(path, message)

    def test_spoiled_files(self) -> None:
        for kind in ("float32", "int8"):
            self.fuzz(TfliteWriter(random_any_network(3, sides=(32,)), kind).write(), "f.tflite", range(150))


if __name__ == "__main__":
    unittest.main(verbosity=2)

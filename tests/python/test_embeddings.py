"""--embeddings: the array and its index, read by hand, with NumPy, and compared with PyTorch's where it is to be had.

Needs what support/cli.py needs.
"""

import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import unittest

from support.cli import MAKE_MODEL, TIMEOUT
from support.output import OutputCase, rows_of

try:
    import numpy
except ImportError:
    numpy = None

SHARED = pathlib.Path(os.environ.get("MNV2_SHARED_DIR", "/nonexistent"))


class Embeddings(OutputCase):
    def array(self, path):
        """The array of an NPY file, read by hand, as rows of floats."""
        data = pathlib.Path(path).read_bytes()
        self.assertEqual(data[:8], b"\x93NUMPY\x01\x00")
        size = struct.unpack("<H", data[8:10])[0]
        self.assertEqual(((10 + size) % 64, data[9 + size:10 + size]), (0, b"\n"))
        header = eval(data[10:10 + size], {})  # a literal of this program's own
        self.assertEqual((header["descr"], header["fortran_order"], set(header)), ("<f4", False, {"descr", "fortran_order", "shape"}))
        rows, columns = header["shape"]
        values = struct.unpack(f"<{rows * columns}f", data[10 + size:])
        if numpy is not None:
            read = numpy.load(path)
            self.assertEqual((read.dtype, read.shape), (numpy.float32, (rows, columns)))
            self.assertEqual(read.tobytes(), data[10 + size:])
        return [values[i * columns:(i + 1) * columns] for i in range(rows)]

    def test_a_row_for_each_input(self):
        paths = [self.make("a.png"), self.make("b,ad.png", b"bad"), self.make("c.png", seed=3), self.make("a2.png")]
        target = self.folder / "x.npy"
        expected = self.out(*paths, status=1)
        self.assertEqual(self.out("-t", "3", "--embeddings", str(target), *paths, status=1), expected)
        rows = self.array(target)
        self.assertEqual(rows[0], rows[3])
        self.assertNotEqual(rows[0], rows[2])
        self.assertTrue(all(len(row) == 20 for row in rows))  # make_model's head
        self.assertTrue(all(x != x for x in rows[1]) and all(x == x for row in (rows[0], rows[2]) for x in row))
        self.assertEqual(rows_of((self.folder / "x.index.csv").read_bytes()),
                         [["row", "path", "status"], ["0", paths[0], "ok"], ["1", paths[1], "error"],
                          ["2", paths[2], "ok"], ["3", paths[3], "ok"]])
        self.assertEqual(len(self.names()), 6)

    def test_no_inputs_are_no_rows(self):
        (self.folder / "empty").mkdir()
        self.out("--embeddings", str(self.folder / "x"), str(self.folder / "empty"))
        self.assertEqual((self.array(self.folder / "x"), self.names()), ([], ["empty", "x", "x.index.csv"]))

    def test_a_signal_leaves_a_whole_array_beside(self):
        target, part = self.folder / "x.npy", self.folder / "x.npy.part"
        process, messages = self.start_stopped("--embeddings", str(target), self.make_noisy_folder())
        process.send_signal(signal.SIGINT)
        messages.read_all()
        self.assertEqual(process.wait(TIMEOUT), -signal.SIGINT)
        self.assertFalse(target.exists())
        rows = len(self.array(part))
        self.assertTrue(100 < rows < 300)
        self.assertEqual(len(rows_of((self.folder / "x.index.csv.part").read_bytes())), 1 + rows)

    def test_a_full_disk(self):
        with self.small_disk() as disk:
            _, err = self.run_program("--embeddings", str(disk / "x.npy"), "-o", str(self.folder / "out"),
                                      *[self.make_folder(50)] * 40, status=4)
            self.assertIn("No space left", err)
            self.assertFalse((disk / "x.npy").exists() or (self.folder / "out").exists())

    def test_wrong_use(self):
        path = self.make("a.png")
        for flags in (("--embeddings", ""), ("--embeddings", "/dev/null"), ("--embeddings", "x", "-o", "x"),
                      ("--embeddings", "x.npy", "-o", "./x.index.csv"), ("--embeddings", "x", "--bench"), ("--embeddings", path)):
            self.assertRegex(self.run_program(*flags, path, status=2, cwd=self.folder)[1], "--embeddings")
        self.assertEqual(self.names(), ["a.png"])

    def test_a_model_without_classifier(self):
        model, path = str(self.folder / "features"), self.make("a.png")
        subprocess.run([MAKE_MODEL, model, "--features"], check=True)
        _, err = self.run_program("-m", model, path, status=3)
        self.assertIn("--embeddings", err)
        target = self.folder / "x.npy"
        (record,) = self.records("-m", model, "--embeddings", str(target), path)
        self.assertEqual((record["status"], "top" in record), ("ok", False))
        self.assertEqual([len(row) for row in self.array(target)], [20])
        header, row = rows_of(self.out("-m", model, "-f", "csv", "--embeddings", str(target), path))
        self.assertEqual((header[:5], row[:2]), (["path", "status", "width", "height", "error_code"], [path, "ok"]))
        self.make("labels.txt", b"a\n")
        for flag, value in (("--sort-into", "y"), ("--top-k", "5"), ("--min-prob", "0.5"), ("--labels", "labels.txt"),
                            ("--eval", ".")):
            _, err = self.run_program("-m", model, "--embeddings", "x", flag, value, path, status=2, cwd=self.folder)
            self.assertIn(f"{flag}: {model} has no classifier, so no classes", err)
            self.assertFalse((self.folder / "x").exists())
        self.out("-m", model, "--bench", "--bench-seconds", "0.01")

    def test_features_of_pytorch(self):
        weights, photos = SHARED / "weights/mobilenet_v2.pth", SHARED / "images/dev"
        crops = SHARED / "reference/dev_crops_u8.npy"
        try:
            import torch
            import torchvision
        except ImportError:
            self.skipTest("needs torch and torchvision")
        if not (weights.exists() and crops.exists()):
            self.skipTest(f"{SHARED} has no weights and reference")
        model = self.folder / "real.safetensors"
        convert = pathlib.Path(__file__).resolve().parents[2] / "scripts/convert_torchvision.py"
        subprocess.run([sys.executable, str(convert), "--checkpoint", str(weights), "--output", str(model)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT)
        listed = [row[0] for row in rows_of((SHARED / "images/dev.csv").read_bytes())]
        inputs = [str(p) for name in listed for p in (photos / os.path.basename(name),) if p.exists()][:5]
        self.assertEqual(len(inputs), 5)
        target = self.folder / "x.npy"
        self.out("-m", str(model), "--embeddings", str(target), *inputs)
        network = torchvision.models.mobilenet_v2()
        network.load_state_dict(torch.load(weights))
        network.eval()
        pixels = torch.from_numpy(numpy.load(crops)[:5]).permute(0, 3, 1, 2).float() / 255
        pixels = (pixels - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        with torch.no_grad():
            expected = network.features(pixels).mean((2, 3)).numpy()
        found = numpy.load(target)
        self.assertEqual(found.shape, (5, 1280))
        self.assertLess(numpy.abs(found - expected).max(), 1e-4 * numpy.abs(expected).max())


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    unittest.main(verbosity=2, argv=sys.argv)

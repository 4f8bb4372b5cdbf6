"""Models of other programs given to --model: the program says what they are and how they are converted. Needs what
support/cli.py needs; with PyTorch, h5py and onnx also files that these write."""

import io
import json
import random
import struct
import unittest
import zipfile
from pathlib import Path

from support.cli import Case

try:
    import torch
except ImportError:
    torch = None
try:
    import h5py
except ImportError:
    h5py = None
try:
    import onnx
except ImportError:
    onnx = None


def archive(*names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name in names:
            file.writestr(name, b"content of " + name.encode())
    return data.getvalue()


def safetensors(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


FILES = {
    "a.pth": (archive("a/data.pkl", "a/version", "a/data/0"), "a PyTorch checkpoint"),
    "old.pt": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", "a PyTorch checkpoint"),
    "keras_model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "b.keras": (archive("metadata.json", "config.json", "model.weights.h5"), "a Keras model"),
    "model_unquant.tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "a TensorFlow Lite model"),
    "model.json": (b'{\n  "format": "layers-model", "modelTopology": {}, "weightsManifest": []}', "a TensorFlow.js model"),
    "c.onnx": (b"\x08\x07\x12\x07pytorch:\x04" + bytes(20), "an ONNX model"),
    "d.safetensors": (safetensors({"__metadata__": {"format": "pt"}}), "a safetensors file of another program"),
    "converted_keras.zip": (archive("keras_model.h5", "labels.txt"), "an archive with a Keras model"),
    "tm.zip": (archive("metadata.json", "model.json", "weights.bin"), "an archive with a TensorFlow.js model"),
    "lite.zip": (archive("labels.txt", "model_unquant.tflite"), "an archive with a TensorFlow Lite model"),
}
FOLDERS = {
    "hub": (["config.json", "model.safetensors"], "a folder with a Hugging Face model"),
    "old_hub": (["config.json", "pytorch_model.bin"], "a folder with a Hugging Face model"),
    "tfjs": (["model.json", "weights.bin"], "a folder with a TensorFlow.js model"),
    "keras": (["keras_model.h5", "labels.txt"], "a folder with a Keras model"),
}


class ForeignModels(Case):
    def assert_converted(self, path, what, output):
        out, err = self.run_program("-m", path, self.make("a.png"), status=3)
        self.assertEqual(out, b"")
        self.assertIn(f"{path} is {what}", err)
        self.assertIn("not a model file of this program", err)
        self.assertIn(f"scripts/convert.py {path} --output {output}", err)
        self.assertNotIn("bytes", err)
        for flags in (["--summary"], ["--bench", "--bench-seconds", "0.01"], ["--eval", str(self.folder)]):
            _, err = self.run_program("-m", path, *flags, status=3)
            self.assertIn(f"{path} is {what}", err)

    def test_every_kind_of_file(self):
        for name, (content, what) in FILES.items():
            with self.subTest(name):
                path = self.make(name, content)
                output = path.rsplit(".", 1)[0] + (".safetensors" if name != "d.safetensors" else "-mnv2.safetensors")
                self.assert_converted(path, what, output)

    def test_every_kind_of_folder(self):
        for name, (files, what) in FOLDERS.items():
            with self.subTest(name):
                folder = self.folder / name
                folder.mkdir()
                for file in files:
                    (folder / file).write_bytes(b"x")
                self.assert_converted(str(folder), what, f"{folder}.safetensors")
                _, err = self.run_program("-m", f"{folder}/", self.make("a.png"), status=3)
                self.assertIn(f"--output {folder}.safetensors", err)

    def test_what_nothing_converts(self):
        for name, content, reason in (
                ("script.pt", archive("s/data.pkl", "s/code/x.py", "s/constants.pkl"), "save the state_dict"),
                ("saved.zip", archive("m/saved_model.pb", "m/variables/variables.index"), "save it as .keras or .h5")):
            _, err = self.run_program("-m", self.make(name, content), self.make("a.png"), status=3)
            self.assertIn(reason, err)
            self.assertNotIn("convert.py", err)

    def test_a_path_that_a_shell_would_take_apart(self):
        path = self.make("my model's (1).pth", FILES["a.pth"][0])
        _, err = self.run_program("-m", path, self.make("a.png"), status=3)
        quoted = path.replace("'", "'\\''")
        self.assertIn(f"convert.py '{quoted}' --output '{quoted[:-4]}.safetensors'", err)

    def test_other_files_and_damaged_models_keep_their_messages(self):
        with open(self.model, "rb") as file:
            model = file.read()
        for name, content in (("cut.safetensors", model[:-5]), ("text", b"no model"), ("empty", b""),
                              ("a.png", Path(self.make("b.png")).read_bytes()), ("none.zip", archive("notes.txt")),
                              ("torn.zip", FILES["a.pth"][0][:40])):
            _, err = self.run_program("-m", self.make(name, content), self.make("c.png"), status=3)
            self.assertIn("cannot use the model", err)
            self.assertNotIn("convert.py", err)
        empty = self.folder / "empty_folder"
        empty.mkdir()
        _, err = self.run_program("-m", str(empty), self.make("c.png"), status=3)
        self.assertIn("a directory, expected a regular file", err)

    def test_damaged_archives_neither_hang_nor_crash(self):
        rng = random.Random(1)
        image = self.make("a.png")
        whole = FILES["converted_keras.zip"][0]
        for _ in range(40):
            content = bytearray(whole)
            for _ in range(rng.randrange(1, 6)):
                content[rng.randrange(len(content))] = rng.randrange(256)
            self.run_program("-m", self.make("x.zip", bytes(content[:rng.randrange(1, len(content) + 1)])), image, status=3)

    @unittest.skipIf(torch is None, "needs PyTorch")
    def test_files_of_pytorch(self):
        module = torch.nn.Sequential(torch.nn.Linear(2, 3))
        path = str(self.folder / "real.pth")
        torch.save(module.state_dict(), path)
        self.assert_converted(path, "a PyTorch checkpoint", path[:-4] + ".safetensors")
        torch.save(module.state_dict(), path, _use_new_zipfile_serialization=False)
        self.assert_converted(path, "a PyTorch checkpoint", path[:-4] + ".safetensors")
        torch.jit.script(module).save(path)
        _, err = self.run_program("-m", path, self.make("a.png"), status=3)
        self.assertIn("is a TorchScript program", err)

    @unittest.skipIf(h5py is None, "needs h5py")
    def test_a_file_of_h5py(self):
        path = str(self.folder / "real.h5")
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = "{}"
        self.assert_converted(path, "an HDF5 file", path[:-3] + ".safetensors")

    @unittest.skipIf(onnx is None, "needs onnx")
    def test_a_file_of_onnx(self):
        path = str(self.folder / "real.onnx")
        for producer in ("", "pytorch"):
            graph = onnx.helper.make_graph([], "empty", [], [])
            onnx.save(onnx.helper.make_model(graph, **({"producer_name": producer} if producer else {})), path)
            self.assert_converted(path, "an ONNX model", path[:-5] + ".safetensors")


if __name__ == "__main__":
    unittest.main(verbosity=2)

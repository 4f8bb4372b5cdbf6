"""Labels, weights by name, the file that the converter writes, and its command line."""

from __future__ import annotations

import dataclasses
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from support.converter import (ROOT, ConverterCase, calibration, conversion, parse_model_file, random_network,
                               state)
from mnv2.convert.published import WEIGHTS

THOUSAND = random_network(2, width_mult=0.1)  # 1000 classes


class Labels(ConverterCase):
    def labels(self, content: str, name: str = "labels.txt") -> Any:
        (self.folder / name).write_text(content, encoding="utf-8")
        metadata, _ = self.convert(state(), "--labels", self.folder / name)
        return json.loads(metadata["labels"])

    def test_forms(self) -> None:
        for content in ("a b\nç\n雪\n", "\ufeffa b\r\nç\r\n雪", '["a b", "ç", "雪"]', '{"2": "雪", "0": "a b", "1": "ç"}',
                        '{"0": ["n01", "a b"], "1": ["n02", "ç"], "2": ["n03", "雪"]}'):
            with self.subTest(content=content):
                self.assertEqual(self.labels(content), ["a b", "ç", "雪"])

    def test_refused(self) -> None:
        path, checkpoint = self.folder / "labels", self.save(state())
        for content, message in ((b"a\nb\n", "2 labels, expected 3, one per class"), (b"", "0 labels, expected 3"),
                                 (b"a\n\nc\n", "line 2 is empty"), (b"\xff\n", "not UTF-8 text"), (b"[1,2,3]", "class 0: 1"),
                                 (b'["a","b"', "damaged JSON"), (b'{"0":"a","1":"b","3":"d"}', 'the key "2" is missing'),
                                 (b'["a","b",""]', 'class 2: "", expected a name'), (b'["\\ud800","b","c"]', "not Unicode"),
                                 (b"[" * 100000, "damaged JSON")):
            with self.subTest(message=message):
                path.write_bytes(content)
                self.assert_refused(checkpoint, message, "--labels", path)
        self.assert_refused(checkpoint, "nowhere: No such file or directory", "--labels", "nowhere")

    def test_default(self) -> None:
        self.assertNotIn("labels", self.convert(state())[0])
        labels = json.loads(self.convert(THOUSAND.state_dict())[0]["labels"])
        self.assertEqual((len(labels), labels[0], labels[530], labels[999]), (1000, "tench", "digital clock", "toilet tissue"))

    def test_they_are_torchvisions(self) -> None:
        from torchvision.models import MobileNet_V2_Weights

        ours = json.loads((ROOT / "models/imagenet_classes.json").read_text())
        self.assertEqual(ours, list(MobileNet_V2_Weights.IMAGENET1K_V1.value.meta["categories"]))

    def test_without_the_file(self) -> None:
        path = self.save(THOUSAND.state_dict())
        nowhere = self.folder / "no.txt"
        with mock.patch("mnv2.convert.labels.IMAGENET_CLASSES", nowhere):
            status, stderr = self.run_converter("--checkpoint", path)
        self.assertEqual(status, 0, stderr)
        self.assertIn(f"no labels: there is no {nowhere}", stderr)
        self.assertNotIn("labels", parse_model_file(self.output)[0])


class WithoutTorch(ConverterCase):
    def test_same_bytes_with_numpy_alone(self) -> None:
        """The command, where torch and torchvision cannot be imported."""
        path = self.save(THOUSAND.state_dict())
        with mock.patch.object(calibration, "SYNTHETIC_IMAGES", 32):  # as many as the command takes
            self.assertEqual(self.run_converter("--checkpoint", path)[0], 0)
        expected = self.output.read_bytes()
        program = ("import sys; sys.modules.update(torch=None, torchvision=None); sys.path.insert(0, sys.argv.pop(1)); "
                   "from convert_torchvision import main; sys.exit(main(sys.argv[1:]))")
        result = subprocess.run([sys.executable, "-c", program, str(ROOT / "scripts"), "--checkpoint", str(path), "--output",
                                 str(self.output)], capture_output=True, text=True)
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)
        self.assertEqual(self.output.read_bytes(), expected)


class Server(http.server.BaseHTTPRequestHandler):
    """Gives the bytes of `files`; of a name that begins with "short", half of what it announces."""

    files: dict[str, bytes] = {}
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data = self.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:len(data) // 2] if self.path.startswith("/short") else data)

    def log_message(self, *_: object) -> None:
        pass


class PublishedWeights(ConverterCase):
    """The download, from a server here."""

    def setUp(self) -> None:
        super().setUp()
        self.checkpoint = self.save(THOUSAND.state_dict())
        self.data = self.checkpoint.read_bytes()
        self.digest = hashlib.sha256(self.data).hexdigest()
        Server.files, Server.asked = {}, []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        environment = mock.patch.dict(os.environ, {"TORCH_HOME": str(self.folder / "torch"), "no_proxy": "*"})
        environment.start()
        self.addCleanup(environment.stop)
        self.cached = self.folder / "torch/hub/checkpoints"

    def publish(self, path: str, data: bytes) -> str:
        Server.files[path] = data
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def published(self, **urls: str) -> Any:
        """Lets the weights of these names be those at `urls`."""
        return mock.patch.dict("mnv2.convert.published.WEIGHTS", {
            name: dataclasses.replace(WEIGHTS[name], url=url) for name, url in urls.items()})

    def test_names(self) -> None:
        paths = {version: f"/models/{version}-{self.digest[:8]}.pth" for version in ("V1", "V2")}
        cases = [([], "V1", 256, 224, ["V1"]), (["--weights", "IMAGENET1K_V1"], "V1", 256, 224, []),
                 (["--weights", "IMAGENET1K_V2", "--crop", "192"], "V2", 232, 192, ["V2"]),
                 (["--weights", "MobileNet_V2_Weights.IMAGENET1K_V2"], "V2", 232, 224, []),
                 (["--weights", "DEFAULT", "--resize", "240"], "V2", 240, 224, [])]
        with self.published(**{f"IMAGENET1K_{name}": self.publish(path, self.data) for name, path in paths.items()}):
            for arguments, version, resize, crop, downloads in cases:
                with self.subTest(arguments=arguments):
                    Server.asked.clear()
                    status, stderr = self.run_converter(*arguments)
                    self.assertEqual(status, 0, stderr)
                    self.assertEqual(Server.asked, [paths[name] for name in downloads])  # the second time it is in the cache
                    metadata, _ = parse_model_file(self.output)
                    self.assertEqual(metadata["source"], f"torchvision MobileNet_V2_Weights.IMAGENET1K_{version}")
                    self.assertEqual(metadata["source_sha256"], self.digest)
                    self.assertEqual(json.loads(metadata["preprocessing"]),
                                     {"resize": resize, "crop": crop, "mean": [0.485, 0.456, 0.406],
                                      "std": [0.229, 0.224, 0.225], "interpolation": "bilinear"})
        self.assertEqual(sorted(path.name for path in self.cached.iterdir()),
                         [f"{version}-{self.digest[:8]}.pth" for version in ("V1", "V2")])

    def test_faults(self) -> None:
        wrong = f"/wrong-{self.digest[:8]}.pth"
        cases = [(self.publish(wrong, self.data[:-1]), f"{len(self.data) - 1} bytes of SHA-256 "),
                 (self.publish(f"/short-{self.digest[:8]}.pth", self.data), "expected one that begins with "),
                 (f"http://127.0.0.1:{self.server.server_port}/none-12345678.pth", "HTTP Error 404"),
                 ("http://127.0.0.1:1/a-12345678.pth", "Connection refused")]
        for url, message in cases:
            with self.subTest(url=url), self.published(IMAGENET1K_V1=url):
                status, stderr = self.run_converter()
                self.assertEqual(status, 1)
                self.assertIn(message, stderr)
                self.assertIn(url, stderr)
                self.assertFalse(self.output.exists())
        self.assertEqual(list(self.cached.iterdir()), [])

    def test_what_is_damaged_in_the_cache_is_fetched_anew(self) -> None:
        path = f"/a-{self.digest[:8]}.pth"
        self.cached.mkdir(parents=True)
        (self.cached / path[1:]).write_bytes(self.data[:1000])
        with self.published(IMAGENET1K_V1=self.publish(path, self.data)):
            self.assertEqual(self.run_converter()[0], 0)
        self.assertEqual((self.cached / path[1:]).read_bytes(), self.data)

    def test_as_torchvision_says(self) -> None:
        from mnv2.convert.published import parse_weights
        from torchvision.models import MobileNet_V2_Weights

        for name, weights in MobileNet_V2_Weights.__members__.items():
            ours = WEIGHTS[parse_weights(name)]
            self.assertEqual((ours.url, [ours.resize]), (weights.url, weights.transforms().resize_size))
            self.assertEqual(weights.transforms().crop_size, [224])


class Output(ConverterCase):
    def test_layout_of_the_file(self) -> None:
        metadata, tensors = self.convert(state())
        data = self.output.read_bytes()
        length = int.from_bytes(data[:8], "little")
        self.assertEqual(((8 + length) % 64, data[8:9]), (0, b"{"))
        self.assertEqual(len(data), 8 + length + sum(tensor.nbytes for tensor in tensors.values()))
        architecture = json.loads(metadata["architecture"])
        self.assertEqual((metadata["format"], metadata["format_version"], architecture["name"]),
                         ("mnv2-classify", "4", "mobilenet_v2"))
        self.assertEqual((len(architecture["blocks"]), architecture["blocks"][0]["expand"]), (17, None))
        self.assertEqual(architecture["stem"], {"kind": "conv", "in_channels": 3, "out_channels": 8, "kernel": 3, "stride": 2,
                                                "clamp": [0, 6], "source_parameters": 8 * 27 + 2 * 8})
        self.assertEqual(architecture["blocks"][1]["project"]["clamp"], None)
        self.assertEqual(tensors["blocks.1.depthwise.weight"].shape, (48, 1, 3, 3))
        self.assertEqual(metadata["source"], "checkpoint checkpoint.pth")

    def test_same_bytes_again(self) -> None:
        self.convert(state())
        first = self.output.read_bytes()
        self.output = self.folder / "again.safetensors"
        self.convert(state())
        self.assertEqual(self.output.read_bytes(), first)

    def test_what_was_written_is_compared(self) -> None:
        path = self.save(state())
        write = conversion.write_model_file
        for spoil in (lambda metadata, tensors: tensors["head.bias"].__setitem__(3, 7.0),
                      lambda metadata, tensors: metadata.__setitem__("source", "?"),
                      lambda metadata, tensors: tensors.__setitem__("head.weight", tensors["head.weight"].reshape(-1)),
                      lambda metadata, tensors: tensors.pop("classifier.bias")):
            def spoiled(target: Path, metadata: dict[str, str], tensors: dict[str, Any], bfloat16: bool) -> None:
                metadata, tensors = dict(metadata), {name: tensor.copy() for name, tensor in tensors.items()}
                spoil(metadata, tensors)
                write(target, metadata, tensors, bfloat16)

            with mock.patch.object(conversion, "write_model_file", spoiled):
                self.assert_refused(path, "read back other")

    def test_nothing_half_written(self) -> None:
        path = self.save(state())
        self.output.write_text("kept")
        with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
            self.assert_refused(path, f"{self.output}: cannot write: No space left on device")
        self.assertEqual(self.output.read_text(), "kept")

    def test_what_is_no_place_for_a_file(self) -> None:
        path = self.save(state())
        fifo = self.folder / "fifo"  # stands for /dev/null, which a test had better not put at risk
        os.mkfifo(fifo)
        for output, message in ((self.folder / "nowhere" / "x", f"there is no directory {self.folder / 'nowhere'}"),
                                (self.folder, "--output is a directory"), (Path(""), "--output is a directory"),
                                (fifo, "--output is no regular file"), (path, "--output is the checkpoint itself")):
            with self.subTest(message=message):
                self.output = output
                self.assert_refused(path, message)
        self.assertTrue(fifo.is_fifo())

    def test_file_name_that_is_not_utf8(self) -> None:
        path = self.folder / os.fsdecode(b"caf\xe9.pth")
        shutil.copy(self.save(state()), path)
        status, stderr = self.run_converter("--checkpoint", path)
        self.assertEqual(status, 0, stderr)
        self.assertEqual(parse_model_file(self.output)[0]["source"], "checkpoint caf\ufffd.pth")

    def test_assumed_strides_are_said(self) -> None:
        for table, said in (([[1, 16, 1, 1], [6, 24, 2, 2]], False), ([[1, 16, 1, 1], [5, 24, 2, 2]], True)):
            network = random_network(4, num_classes=3, inverted_residual_setting=table)
            status, stderr = self.run_converter("--checkpoint", self.save(network.state_dict()))
            self.assertEqual(status, 0, stderr)
            self.assertEqual(f"assumed {json.dumps(table)}" in stderr, said, stderr)

    def test_the_width_that_people_chose_is_said(self) -> None:
        for width in (0.25, 0.35, 0.75):
            network = random_network(4, num_classes=3, width_mult=width)
            _, stderr = self.run_converter("--checkpoint", self.save(network.state_dict()))
            self.assertIn(f"default table, width_mult {width}, round_nearest 8", stderr)


class CommandLine(unittest.TestCase):
    def run_script(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, str(ROOT / "scripts/convert_torchvision.py"), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_usage(self) -> None:
        for arguments in ([], ["--output"], ["--output", "x", "--weights", "IMAGENET1K_V3"], ["--output", "x", "--resize", "0"],
                          ["--output", "x", "--weights", "DEFAULT", "--checkpoint", "y"], ["--output", "x", "--crop", "-1"],
                          ["--output", "x", "surplus"], ["--out", "x"], ["--output", "x", "--crop", "4097"],
                          ["--output", "x", "--resize", "16385"], ["--output", "x", "--crop", "\u0663"],
                          ["--output", "x", "--mean", "1,2"], ["--output", "x", "--std", "a,b,c"],
                          ["--output", "x", "--bn-eps", "-1"], ["--output", "x", "--arch", "resnet"],
                          ["--output", "x", "--padding", "1"], ["--output", "x", "--activation", "tanh"]):
            result = self.run_script(*arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""), arguments)
            self.assertIn("usage: convert_torchvision.py", result.stderr)
        self.assertIn("--checkpoint FILE", self.run_script("--help").stdout)

    def test_error_is_one_line_and_status_1(self) -> None:
        result = self.run_script("--checkpoint", "nowhere.pth", "--output", "x")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertEqual(result.stderr, "convert_torchvision.py: nowhere.pth: No such file or directory\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)

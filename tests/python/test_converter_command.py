"""Labels, weights by name, the file that the converter writes, and its command line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from support.converter import (ROOT, ConverterCase, conversion, parse_model_file, random_network,
                               state)

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

    def test_without_torchvision(self) -> None:
        path = self.save(THOUSAND.state_dict())
        with mock.patch.dict(sys.modules, {"torchvision": None, "torchvision.models": None}):
            status, stderr = self.run_converter("--checkpoint", path)
        self.assertEqual(status, 0, stderr)
        self.assertIn("no labels: torchvision 0.13 or later", stderr)
        self.assertNotIn("labels", parse_model_file(self.output)[0])


class PublishedWeights(ConverterCase):
    def setUp(self) -> None:
        super().setUp()
        hub = mock.patch("torch.hub.get_dir", return_value=str(self.folder / "hub"))
        hub.start()
        self.addCleanup(hub.stop)
        self.checkpoint = self.save(THOUSAND.state_dict())

    def test_names(self) -> None:
        urls = []

        def fake_download(url: str, path: str, hash_prefix: str, progress: bool) -> None:
            urls.append((url, hash_prefix))
            shutil.copy(self.checkpoint, path)

        v1, v2 = ("https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
                  "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth")
        cases = [([], "V1", 256, 224, [(v1, "b0353104")]), (["--weights", "IMAGENET1K_V1"], "V1", 256, 224, []),
                 (["--weights", "IMAGENET1K_V2", "--crop", "192"], "V2", 232, 192, [(v2, "7ebf99e0")]),
                 (["--weights", "MobileNet_V2_Weights.IMAGENET1K_V2"], "V2", 232, 224, []),
                 (["--weights", "DEFAULT", "--resize", "240"], "V2", 240, 224, [])]
        for arguments, version, resize, crop, downloads in cases:
            with self.subTest(arguments=arguments), mock.patch("torch.hub.download_url_to_file", fake_download):
                urls.clear()
                status, stderr = self.run_converter(*arguments)
                self.assertEqual(status, 0, stderr)
                self.assertEqual(urls, downloads)  # the second time it is in the cache
                metadata, _ = parse_model_file(self.output)
                self.assertEqual(metadata["source"], f"torchvision MobileNet_V2_Weights.IMAGENET1K_{version}")
                self.assertEqual(metadata["source_sha256"], hashlib.sha256(self.checkpoint.read_bytes()).hexdigest())
                self.assertEqual(json.loads(metadata["preprocessing"]),
                                 {"resize": resize, "crop": crop, "mean": [0.485, 0.456, 0.406],
                                  "std": [0.229, 0.224, 0.225], "interpolation": "bilinear"})

    def test_as_torchvision_says(self) -> None:
        from mnv2.convert.published import WEIGHTS, parse_weights
        from torchvision.models import MobileNet_V2_Weights

        for name, weights in MobileNet_V2_Weights.__members__.items():
            ours = WEIGHTS[parse_weights(name)]
            self.assertEqual((ours.url, [ours.resize]), (weights.url, weights.transforms().resize_size))
            self.assertEqual(weights.transforms().crop_size, [224])

    def test_failing_download(self) -> None:
        with mock.patch("torch.hub.download_url_to_file", side_effect=OSError("no route to host")):
            status, stderr = self.run_converter()
        self.assertEqual(status, 1)
        self.assertIn("cannot download https://download.pytorch.org/models/mobilenet_v2-b0353104.pth: no route", stderr)


class Output(ConverterCase):
    def test_layout_of_the_file(self) -> None:
        metadata, tensors = self.convert(state())
        data = self.output.read_bytes()
        length = int.from_bytes(data[:8], "little")
        self.assertEqual(((8 + length) % 64, data[8:9]), (0, b"{"))
        self.assertEqual(len(data), 8 + length + sum(tensor.nbytes for tensor in tensors.values()))
        architecture = json.loads(metadata["architecture"])
        self.assertEqual((metadata["format"], metadata["format_version"], architecture["name"]),
                         ("mnv2-classify", "2", "mobilenet_v2"))
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
            def spoiled(target: Path, metadata: dict[str, str], tensors: dict[str, Any]) -> None:
                metadata, tensors = dict(metadata), {name: tensor.copy() for name, tensor in tensors.items()}
                spoil(metadata, tensors)
                write(target, metadata, tensors)

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

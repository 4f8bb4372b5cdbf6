"""Which checkpoints the converter accepts and refuses, and that it never runs code from one."""

from __future__ import annotations

import argparse
import collections
import json
import os
import pickle
import struct
import unittest
from pathlib import Path
from typing import Any, Callable
from unittest import mock

from support.converter import ConverterCase, np, parse_model_file, random_network, state, torch, NETWORK


class Exploit:
    """Unpickling this creates the file `marker`."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.marker),)


class CheckpointForms(ConverterCase):
    def assert_same_network(self, checkpoint: Any, **save_options: Any) -> None:
        _, expected = self.convert(state())
        status, stderr = self.run_converter("--checkpoint", self.save(checkpoint, **save_options))
        self.assertEqual(status, 0, stderr)
        _, tensors = parse_model_file(self.output)
        self.assertEqual(list(tensors), list(expected))
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, expected[name], name)

    def test_nested_and_prefixed(self) -> None:
        prefixed = {f"module.{name}": tensor for name, tensor in state().items()}
        trained = {"epoch": 7, "best": 71.25, "args": argparse.Namespace(lr=0.1), "optimizer": {"state": {}, "lr": 1e-3}}
        for checkpoint in ({"state_dict": state()}, {"model": state(), **trained}, prefixed, {"model": {"state_dict": prefixed}},
                           {f"module.{name}": tensor for name, tensor in prefixed.items()}):
            with self.subTest(keys=list(checkpoint)[:2]):
                self.assert_same_network(checkpoint)

    def test_names_that_wrappers_put_in_front(self) -> None:
        for wrapper in ("model.", "net.", "_orig_mod.", "module._orig_mod.", "module.backbone.module.network."):
            with self.subTest(wrapper=wrapper):
                self.assert_same_network({wrapper + name: tensor for name, tensor in state().items()})

    def test_safetensors(self) -> None:
        _, expected = self.convert(state())
        tensors = {name: tensor for name, tensor in state().items()}
        for dtype, name in ((torch.float32, "F32"), (torch.float64, "F64"), (torch.float16, "F16"), (torch.bfloat16, "BF16")):
            given = {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
            path = self.folder / "model.st"
            path.write_bytes(self.safetensors(given, name))
            status, stderr = self.run_converter("--checkpoint", path)
            self.assertEqual(status, 0, stderr)
            _, found = parse_model_file(self.output)
            np.testing.assert_array_equal(found["classifier.weight"], given["classifier.1.weight"].float().numpy())
            if dtype in (torch.float32, torch.float64):
                for key, values in expected.items():
                    np.testing.assert_array_equal(found[key], values, key)

    def safetensors(self, tensors: dict[str, torch.Tensor], dtype: str) -> bytes:
        """The bytes of a safetensors file, as its format says."""
        header, data = {}, b""
        for name, tensor in tensors.items():
            raw = (tensor.contiguous().view(torch.int16) if dtype == "BF16" and tensor.is_floating_point() else tensor).numpy()
            header[name] = {"dtype": dtype if tensor.is_floating_point() else "I64", "shape": list(tensor.shape),
                            "data_offsets": [len(data), len(data) + raw.nbytes]}
            data += raw.tobytes()
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    def test_old_file_format_and_missing_counters(self) -> None:
        self.assert_same_network(state(), _use_new_zipfile_serialization=False)
        self.assert_same_network({name: tensor for name, tensor in state().items() if "num_batches" not in name})
        self.assert_same_network({name: torch.nn.Parameter(tensor) for name, tensor in state().items() if tensor.ndim})

    def test_never_torch_load(self) -> None:
        """Whose answer depends on the version, and which runs what a file says when it is asked the wrong way."""
        marker = self.folder / "marker"
        with mock.patch("torch.load", side_effect=AssertionError):
            self.assert_same_network({"model": state(), "lr": 0.5})
            self.assert_same_network(state(), _use_new_zipfile_serialization=False)
            self.assert_refused(self.save({"model": state(), "x": Exploit(marker)}), "posix.mkdir")
            self.assertFalse(marker.exists())

    def test_what_is_saved_beside_the_weights(self) -> None:
        subclassed = torch.ones(3).as_subclass(torch.nn.Parameter)
        subclassed.note = "more than a tensor"
        parameter = torch.nn.Parameter(torch.ones(2))
        parameter.note = "more than a tensor"
        for beside in (torch.float16, torch.device("cuda:1"), torch.Size([2]), collections.Counter({5: 1}), torch.ones(2).cfloat(),
                       torch.ones(2).to_sparse(), subclassed, parameter, argparse.Namespace(lr=1)):
            with self.subTest(beside=type(beside)):
                self.assert_same_network({"model": state(), "beside": beside})

    def test_other_float_types(self) -> None:
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            with self.subTest(dtype=dtype):
                rounded = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor
                           for name, tensor in state().items()}
                _, tensors = self.convert(rounded)
                np.testing.assert_array_equal(tensors["classifier.weight"], rounded["classifier.1.weight"].float().numpy())
                weight, scale = (rounded[f"features.0.{key}"].double() for key in ("0.weight", "1.weight"))
                scale = scale / (rounded["features.0.1.running_var"].double() + 1e-5).sqrt()
                np.testing.assert_array_equal(tensors["stem.weight"], (weight * scale.view(-1, 1, 1, 1)).float().numpy())


class Refused(ConverterCase):
    def test_hostile_pickles_never_run(self) -> None:
        marker = self.folder / "marker"
        for checkpoint in (Exploit(marker), {"state_dict": state(), "x": Exploit(marker)}, {**state(), "x": Exploit(marker)}):
            for new_format in (True, False):
                path = self.save(checkpoint, _use_new_zipfile_serialization=new_format)
                self.assert_refused(path, "holds a pickled posix.mkdir, refused because loading it could run code")
                self.assertFalse(marker.exists())
        (self.folder / "plain.pkl").write_bytes(pickle.dumps(Exploit(marker)))
        self.assert_refused(self.folder / "plain.pkl", "not a PyTorch checkpoint")
        self.assertFalse(marker.exists())

    def test_other_kinds_of_files(self) -> None:
        self.assert_refused(self.save(NETWORK), "holds a pickled torchvision.models.mobilenetv2.MobileNetV2, refused")
        self.assert_refused(self.save({"model": NETWORK}), "save the weights alone: torch.save(model.state_dict(), FILE)")
        scripted = self.folder / "scripted.pt"
        torch.jit.script(torch.nn.ReLU()).save(str(scripted))
        self.assert_refused(scripted, "a TorchScript archive, not a state_dict")
        self.assert_refused(self.save([1, 2]), "holds a list, not a state_dict")
        self.assert_refused(self.save({}), "holds an empty dictionary")
        self.assert_refused(self.save({3: torch.ones(1)}), "the key 3 is no name of a tensor")
        self.assert_refused(self.save({"epoch": 3}), "epoch is a int, expected a tensor")
        self.assert_refused(self.save({**state(), **{f"module.{name}": tensor for name, tensor in state().items()}}),
                            "with and without the prefix `module.`")

    def test_damaged_files(self) -> None:
        whole = self.save(state()).read_bytes()
        legacy = self.save(state(), _use_new_zipfile_serialization=False).read_bytes()
        path = self.folder / "damaged.pth"
        for data in (b"", b"PK\x03\x04", b"hello" * 100, whole[:100], whole[:len(whole) // 2], legacy[:40], legacy[:-100]):
            with self.subTest(bytes=len(data), begins=data[:4]):
                path.write_bytes(data)
                self.assert_refused(path, f"{path}: ")
        for header, message in ((b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', "a: not [2] F32 values"),
                                (b'{"a":{"dtype":"F8","shape":[1],"data_offsets":[0,4]}}', "a damaged safetensors file"),
                                (b'{"a":{"dtype":"F32","shape":[-1,-1],"data_offsets":[0,4]}}', "a: not [-1, -1] F32"),
                                (b'{}', "4 bytes after the last tensor"), (b'{"a":7}', "a damaged safetensors file"),
                                (b"{" * 9999, "a damaged safetensors file")):
            path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
            self.assert_refused(path, message)
        path.unlink()
        self.assert_refused(path, f"{path}: No such file or directory")
        self.assert_refused(self.folder, "Is a directory")

    def test_first_tensor_that_does_not_fit(self) -> None:
        def without(prefix: str) -> dict[str, Any]:
            return {name: tensor for name, tensor in state().items() if not name.startswith(prefix)}

        cases = [
            ({"conv1.weight": torch.ones(64, 3, 7, 7), "fc.bias": torch.ones(9)},
             "no layout that is known; the checkpoint begins with conv1.weight [64, 3, 7, 7], expected one of torchvision "
             "mobilenet_v2 (features.0.0.weight), flat"),
            (without("features.0.0"), "features.0.0.weight is missing, expected [any, 3, 3, 3]"),
            (without("features.3.conv.0.1.running_var"), "features.3.conv.0.1.running_var is missing, expected [48]"),
            (without("features.5."), "features.5.conv.0.0.weight is missing"),
            (without("features.18."), "features.18.0.weight is missing, expected [any, 32, 1, 1]"),
            ({**state(), "classifier.1.weight": torch.ones(3, 1281)},
             "classifier.1.weight has the shape [3, 1281], expected [any, 1280]"),
            ({**state(), "other.weight": torch.ones(7, 1280)}, "other.weight [7, 1280] is unexpected"),  # a second head
            ({name: tensor for name, tensor in state().items() if ".conv." not in name},
             "features.1.conv.0.0.weight is missing"),
            ({**state(), "features.7.conv.2.weight": torch.ones(8, 40, 1, 1)},
             "features.7.conv.2.weight has the shape [8, 40, 1, 1], expected [any, 48, 1, 1]"),
            ({**state(), "features.0.0.weight": torch.ones(8, 1, 3, 3)}, "has the shape [8, 1, 3, 3], expected [any, 3, 3, 3]"),
            ({**state(), "features.0.0.weight": torch.ones(0, 3, 3, 3)}, "has the shape [0, 3, 3, 3]"),
            ({**state(), "features.2.conv.1.0.weight": torch.ones(48, 48, 3, 3)}, "expected [48, 1, 3, 3]"),
            ({**state(), "classifier.1.bias": torch.ones(4)}, "classifier.1.bias has the shape [4], expected [3]"),
            ({**state(), "features.0.0.alpha": torch.ones(8), "extra": torch.ones(1)}, "features.0.0.alpha [8] is unexpected"),
        ]
        for checkpoint, message in cases:
            with self.subTest(message=message):
                text = self.assert_refused(self.save(checkpoint), message)
                self.assertTrue("not a torchvision mobilenet_v2" in text or "no layout" in text, text)

    def test_values_no_network_can_have(self) -> None:
        def spoiled(name: str, value: float) -> dict[str, Any]:
            tensors = state()
            tensors[name].view(-1)[2] = value
            return tensors

        cases = [
            (spoiled("features.3.conv.0.0.weight", float("nan")),
             "features.3.conv.0.0.weight has 1 values that are not finite, the first at [0, 2, 0, 0]"),
            (spoiled("classifier.1.bias", float("inf")), "classifier.1.bias has 1 values that are not finite, the first at [2]"),
            (spoiled("features.18.1.running_mean", float("-inf")), "features.18.1.running_mean has 1 values"),
            (spoiled("features.0.1.running_var", -0.5), "features.0.1.running_var has a negative value: -0.5"),
            ({**state(), "classifier.1.bias": torch.full((3,), 1e300, dtype=torch.float64)},
             "classifier.bias with BatchNorm folded in has 3 values that are not finite"),
            ({**state(), "classifier.1.bias": torch.ones(3, dtype=torch.int32)}, "classifier.1.bias: torch.int32, expected one"),
            ({**state(), "classifier.1.bias": torch.ones(3).cfloat()}, "classifier.1.bias: torch.complex64, expected one"),
            ({**state(), "classifier.1.bias": torch.ones(3).to_sparse()}, "classifier.1.bias: a tensor of torch.sparse_coo"),
            ({**state(), "classifier.1.bias": torch.ones(1).expand(10 ** 12)}, "classifier.1.bias: 1000000000000 elements"),
        ]
        for checkpoint, message in cases:
            with self.subTest(message=message):
                self.assert_refused(self.save(checkpoint), message)

    def test_tables_that_do_not_fit(self) -> None:
        path = self.save(random_network(3, num_classes=3, inverted_residual_setting=[[1, 16, 1, 1], [3, 24, 2, 2]]).state_dict())
        option = "--inverted-residual-setting"
        for table, message in (("[[1,16,1,1]]", "the table has 1 blocks, the checkpoint has 3"),
                               ("[[1,16,2,1],[3,24,1,2]]", "row 1, block 2: 48 expanded channels of 16, expected 16 (t = 1)"),
                               ("[[1,16,1,1],[4,24,2,2]]", "row 2, block 2: 48 expanded channels of 16, expected 64 (t = 4)"),
                               ("[[1,16,1,1],[3,40,2,2]]", "no width_mult and round_nearest make [16, 24] channels of [16, 40]")):
            self.assert_refused(path, f"inverted_residual_setting: {message}", option, table)
        for table in ("", "7", "[]", "[[1,16,1]]", "[[1,16,1,3]]", "[[1,16,0,1]]", "[[1,1.5,1,1]]", '[["1",16,1,1]]', "[" * 9999):
            self.assert_refused(path, "expected a JSON list of [t, c, n, s] rows", option, table, status=2)

if __name__ == "__main__":
    unittest.main(verbosity=2)

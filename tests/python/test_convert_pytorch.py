"""PyTorch files as people save them: state_dicts under any key, beside anything, under any names."""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import random
import unittest
from typing import Any

from support import converter_networks as nets
from support.convert import ConvertCase
from support.converter import MobileNetV2, convert_torchvision, nn, np, parse_model_file, random_network, randomise, state, torch, NETWORK
from mnv2.convert.model_file import write_model_file
from torchvision.models import mobilenet_v2
from torchvision.models.quantization import mobilenet_v2 as quantisable

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))


class Training:
    """A class of somebody's own."""


class Hyper(dict):
    pass


def outputs(network: nn.Module, images: torch.Tensor = IMAGES) -> np.ndarray:
    with torch.no_grad():
        return network.eval()(images).double().numpy()


class PyTorch(ConvertCase):
    def check(self, saved: Any, network: nn.Module, *arguments: Any, **options: Any) -> tuple[dict[str, Any], str]:
        result = self.converted(self.save(saved, **options), *arguments)
        self.compare_file(IMAGES.numpy(), outputs(network).reshape(2, -1))
        return result


class Keys(PyTorch):
    def test_under_any_key(self) -> None:
        for key in ("model_state_dict", "net", "network", "state_dict_ema", "model_ema", "ema", "weights", "params", "module",
                    "state_dict", "model", "what no one else says"):
            metadata, said = self.check({"epoch": 7, key: state(), "best": 0.5}, NETWORK)
            self.assertIn(f"the weights are those of {key}", said)
        self.check({"a": {"b": {"state": state()}}}, NETWORK)

    def test_several_state_dicts(self) -> None:
        other = random_network(8, width_mult=0.1, num_classes=3)
        both = {"model_ema": {f"module.{name}": value for name, value in state().items()} | {"n_averaged": torch.tensor(5)},
                "model": other.state_dict()}
        _, said = self.check(both, other)
        self.assertIn("the weights are those of model; there are model_ema besides (--key NAME)", said)
        _, said = self.check(both, NETWORK, "--key", "model_ema")
        self.assertIn("n_averaged", said)
        self.refused(self.save(both), "--key nothing: no state_dict there; those of this file: model_ema, model", "--key", "nothing")

    def test_what_stands_beside_the_weights(self) -> None:
        made = self.folder / "made"

        class Code:
            def __reduce__(self) -> tuple:
                return os.mkdir, (str(made),)

        optimizer = torch.optim.SGD(NETWORK.parameters(), 0.1, momentum=0.9)
        optimizer.step()
        beside = {"optimizer": optimizer.state_dict(), "lr_scheduler": {"milestones": collections.Counter([3, 5])},
                  "log": collections.defaultdict(list, loss=[1.0, 2.0]), "best": np.float64(0.7), "count": np.int64(3),
                  "array": np.arange(4), "path": pathlib.PosixPath("/data"), "args": argparse.Namespace(lr=0.1),
                  "hyper_parameters": Hyper(a=1), "trainer": Training(), "set": {1, 2}, "code": Code(), "none": None}
        for legacy in (False, True):
            self.check({**beside, "state_dict": state()}, NETWORK, _use_new_zipfile_serialization=not legacy)
        self.assertFalse(made.exists())

    def test_whole_modules_and_torchscript(self) -> None:
        self.refused(self.save(NETWORK), "holds a pickled torchvision.models.mobilenetv2.MobileNetV2, refused")
        torch.jit.script(NETWORK).save(str(self.folder / "s.pt"))
        self.refused(self.folder / "s.pt", "TorchScript")


class Names(PyTorch):
    def test_any_common_prefix(self) -> None:
        for prefix in ("encoder.", "base_model.", "mobilenet.", "feature_extractor.", "model.0.", "module.model.net."):
            self.check({f"{prefix}{name}": value for name, value in state().items()}, NETWORK)

    def test_head_outside_the_prefix(self) -> None:
        renamed = {f"encoder.{name}" if name.startswith("features") else name.replace("classifier.1", "fc"): value
                   for name, value in state().items()}
        self.check(renamed, NETWORK)

    def test_two_networks(self) -> None:
        both = {f"{name}.{part}": value for name in ("student", "teacher") for part, value in state().items()}
        self.refused(self.save(both), "several networks in one state_dict, student. and teacher.")

    def test_what_is_no_part_of_the_network(self) -> None:
        extra = {"total_ops": torch.ones(1), "features.3.total_params": torch.zeros(1), "criterion.weight": torch.ones(3),
                 "metric.confusion": torch.ones(3, 3), "n_averaged": torch.tensor(4)}
        _, said = self.check({**state(), **extra}, NETWORK)
        self.assertIn("left out, as no part of the network: total_ops, ", said)
        for name, value, message in (("features.3.se.weight", torch.ones(4, 4, 1, 1), "is unexpected"),
                                     ("features.3.slope", torch.ones(4), "is unexpected"),
                                     ("aux.weight", torch.ones(5, 1280), "is unexpected")):
            self.refused(self.save({**state(), name: value}), message)

    def test_first_public_repositories(self) -> None:
        for number, (nested_head, expand_first) in enumerate(((True, False), (True, True), (False, False), (False, True))):
            network = randomise(Public(nested_head, expand_first))
            metadata, _ = self.check(network.state_dict(), network)
            self.assertEqual(metadata["architecture"]["blocks"][0]["expand"] is not None, expand_first, number)

    def test_names_that_nobody_else_has(self) -> None:
        features = NETWORK.features
        sequence = nn.Sequential(nn.Sequential(*features), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NETWORK.classifier)
        self.check(sequence.state_dict(), NETWORK)
        self.check(renamed(state(), "part{}"), NETWORK)
        numbered = renamed(state(), "net.layers.{}")
        self.check({name: numbered[name] for name in sorted(numbered)}, NETWORK)  # by name: 10 before 2
        v1 = randomise(nets.V1(0.25, 5))
        self.check(renamed(v1.state_dict(), "x{}"), v1)

    def test_fused_convolutions(self) -> None:
        from torch.fx.experimental.optimization import fuse

        self.check(fuse(NETWORK).state_dict(), NETWORK)
        _, said = self.converted(self.save(fuse(NETWORK).state_dict()))
        self.assertIn("warning: no BatchNorm is there; if it was fused for quantisation, the activation is ReLU", said)

    def test_fused_for_quantisation(self) -> None:
        """PyTorch's fuse_modules has no ReLU6: a file with its names is of a network with ReLU."""
        network = randomise(quantisable(width_mult=0.1, num_classes=3))
        plain = mobilenet_v2(width_mult=0.1, num_classes=3)
        plain.load_state_dict({name: value for name, value in network.state_dict().items() if name in plain.state_dict()})
        network.fuse_model(is_qat=False)
        self.assertGreater(np.abs(outputs(plain) - outputs(network)).max(), 0.01 * np.abs(outputs(network)).max())
        for prefix in ("", "module.", "encoder.net."):
            saved = {prefix + name: value for name, value in network.state_dict().items()}
            metadata, said = self.check(saved, network)
            self.assertEqual(metadata["architecture"]["stem"]["clamp"], [0, None])
            self.assertIn("fuses ReLU and not ReLU6: ReLU is taken", said)
        status, said = self.run_converter("--checkpoint", self.save(network.state_dict()))
        self.assertEqual(status, 0, said)
        self.assertIn("a checkpoint does not say: relu (--activation)", said)
        self.assertIn("ReLU is taken", said)
        self.assertEqual(json.loads(parse_model_file(self.output)[0]["architecture"])["stem"]["clamp"], [0, None])
        for stated, clamp in (("relu", [0, None]), ("relu6", [0, 6])):  # a flag wins
            metadata, _ = self.convert(network.state_dict(), "--activation", stated)
            self.assertEqual(json.loads(metadata["architecture"])["stem"]["clamp"], clamp)

    def test_a_normalisation_inside(self) -> None:
        mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
        for shape, factor in (((3,), 1), ((1, 3, 1, 1), 1), ((3, 1, 1), 255)):
            norm = {"normalize.mean": factor * mean.reshape(shape), "normalize.std": factor * std.reshape(shape)}
            metadata, said = self.check({**norm, **state()}, NETWORK)
            np.testing.assert_allclose(metadata["preprocessing"]["mean"], mean.numpy(), rtol=1e-6)
            np.testing.assert_allclose(metadata["preprocessing"]["std"], std.numpy(), rtol=1e-6)
            self.assertIn("mean and std are those of the network's own normalisation", said)

    def test_half_precision_and_old_files(self) -> None:
        for dtype in (torch.float16, torch.bfloat16, torch.float64):
            rounded = {name: value.to(dtype) if value.is_floating_point() else value for name, value in state().items()}
            network = mobilenet_v2(width_mult=0.1, num_classes=3)
            network.load_state_dict({name: value.float() for name, value in rounded.items()})
            for legacy in (False, True):
                self.check(rounded, network, _use_new_zipfile_serialization=not legacy)


def renamed(tensors: dict[str, torch.Tensor], pattern: str) -> dict[str, torch.Tensor]:
    """Each module named by its number in the order of the file."""
    numbers: dict[str, int] = {}
    return {f"{pattern.format(numbers.setdefault(name.rpartition('.')[0], len(numbers)))}.{name.rpartition('.')[2]}": value
            for name, value in tensors.items()}


class Public(nn.Module):
    """The names of the first public implementations: a nested stem, blocks as one flat sequence."""

    def __init__(self, nested_head: bool, expand_first: bool, classes: int = 4) -> None:
        super().__init__()
        channels, layers = 16, [nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())]
        for t, c, n, s in ((1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 40, 3, 2), (6, 80, 1, 1)):
            for i in range(n):
                layers.append(PublicBlock(channels, c, s if i == 0 else 1, t, expand_first))
                channels = c
        head = nn.Sequential(nn.Conv2d(channels, 320, 1, bias=False), nn.BatchNorm2d(320), nn.ReLU6())
        self.features = nn.Sequential(*layers, *([head] if nested_head else []))
        self.conv = nn.Identity() if nested_head else head
        self.classifier = nn.Linear(320, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.conv(self.features(x)).mean((2, 3)))


class PublicBlock(nn.Module):
    def __init__(self, in_c: int, out_c: int, stride: int, t: int, expand_first: bool) -> None:
        super().__init__()
        hidden = in_c * t
        expand = [nn.Conv2d(in_c, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6()] if t != 1 or expand_first else []
        self.conv = nn.Sequential(*expand, nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
                                  nn.BatchNorm2d(hidden), nn.ReLU6(), nn.Conv2d(hidden, out_c, 1, bias=False), nn.BatchNorm2d(out_c))
        self.residual = stride == 1 and in_c == out_c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class Random(PyTorch):
    def test_random_networks(self) -> None:
        """Of any width, classes, head and names, kept in any kind of file."""
        rng = random.Random(11)
        for seed in range(20):
            with self.subTest(seed=seed):
                torch.manual_seed(seed)
                width, classes = rng.choice((0.1, 0.25, 0.35, 0.5)), rng.randint(2, 30)
                network = mobilenet_v2(width_mult=width, num_classes=classes) if rng.random() < 0.6 else nets.V1(width, classes)
                if rng.random() < 0.4:
                    network.classifier = list(Heads.HEADS.values())[rng.randrange(9)]() if isinstance(network, MobileNetV2) else (
                        nn.Sequential(nn.Dropout(), nn.Linear(network.classifier[1].in_features, classes)))
                network = randomise(network)
                prefix = rng.choice(("", "module.", "encoder.", "model.0."))
                saved: Any = {f"{prefix}{name}": value for name, value in network.state_dict().items()}
                for key in rng.choice(((), ("state_dict",), ("net", "weights"))):
                    saved = {"epoch": seed, key: saved}
                self.check(saved, network, _use_new_zipfile_serialization=rng.random() < 0.5)


class Heads(PyTorch):
    HEADS = {
        "linear": lambda: nn.Linear(1280, 5),
        "sequence of one": lambda: nn.Sequential(nn.Linear(1280, 5)),
        "hidden layer": lambda: nn.Sequential(nn.Dropout(), nn.Linear(1280, 30), nn.ReLU(), nn.Dropout(), nn.Linear(30, 5)),
        "two hidden layers": lambda: nn.Sequential(nn.Linear(1280, 30), nn.ReLU(), nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 5)),
        "no activation between": lambda: nn.Sequential(nn.Linear(1280, 30), nn.Linear(30, 5)),
        "normalised": lambda: nn.Sequential(nn.Linear(1280, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Dropout(), nn.Linear(30, 5)),
        "normalised after": lambda: nn.Sequential(nn.Linear(1280, 30), nn.ReLU(), nn.BatchNorm1d(30), nn.Linear(30, 5)),
        "normalised features": lambda: nn.Sequential(nn.BatchNorm1d(1280), nn.Dropout(), nn.Linear(1280, 5)),
        "no bias": lambda: nn.Sequential(nn.Linear(1280, 30, bias=False), nn.ReLU(), nn.Linear(30, 5, bias=False)),
    }

    def network(self, head: nn.Module) -> nn.Module:
        network = mobilenet_v2(width_mult=0.1, num_classes=3)
        network.classifier = head
        return randomise(network)

    def test_heads(self) -> None:
        for name, make in self.HEADS.items():
            with self.subTest(head=name):
                network = self.network(make())
                metadata, said = self.check(network.state_dict(), network)
                self.assertEqual("a ReLU is assumed" in said, name not in ("linear", "sequence of one", "no activation between",
                                                                          "normalised features"), said)

    def test_heads_of_modules(self) -> None:
        """Through convert(module), which sees the activations."""
        for name, make in self.HEADS.items():
            with self.subTest(head=name):
                network = self.network(make())
                convert_torchvision.convert(network, IMAGES, self.output)
                self.raw, self.tensors = parse_model_file(self.output)
                self.compare_file(IMAGES.numpy(), outputs(network))

    def test_by_names_of_ones_own(self) -> None:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.features = random_network(3, width_mult=0.1).features
                self.fc1, self.bn, self.fc2 = nn.Linear(1280, 16), nn.BatchNorm1d(16), nn.Linear(16, 4)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.fc2(self.bn(self.fc1(self.features(x).mean((2, 3)))).relu())

        network = randomise(Own())
        self.check(network.state_dict(), network)

    def test_identity(self) -> None:
        network = self.network(nn.Identity())
        metadata, said = self.check(network.state_dict(), network)
        self.assertIsNone(metadata["architecture"]["classifier"])
        self.assertIn("features only, 1280 of them", said)

    def test_one_output(self) -> None:
        network = self.network(nn.Linear(1280, 1))
        self.refused(self.save(network.state_dict()), "--output-activation sigmoid")
        metadata, _ = self.check(network.state_dict(), network, "--output-activation", "sigmoid")
        self.assertEqual(metadata["architecture"]["output_activation"], "sigmoid")


class Damage(ConvertCase):
    def test_spoiled_files(self) -> None:
        for name, options in (("a.pth", {}), ("b.pth", {"_use_new_zipfile_serialization": False})):
            data = self.save({"epoch": 3, "model": state()}, name, **options).read_bytes()
            self.fuzz(data, name, range(120))

    def test_spoiled_safetensors(self) -> None:
        write_model_file(self.folder / "whole", {}, {name: value.float().numpy() for name, value in state().items()})
        data = (self.folder / "whole").read_bytes()
        self.converted(self.folder / "whole")
        self.fuzz(data, "c.safetensors", range(120))

    def test_an_index_that_would_fill_the_memory(self) -> None:
        path = self.folder / "x.pth"
        legacy = self.save({"a": state()}, "l.pth", _use_new_zipfile_serialization=False).read_bytes()
        place = legacy.index(b"r", legacy.index(b"running_mean"))
        self.assertTrue(0 < place)
        spoiled = bytearray(legacy)
        for at in range(len(legacy) - 5):
            if legacy[at:at + 1] == b"r" and legacy[at + 3:at + 5] == b"\0\0" and legacy[at + 1] + 256 * legacy[at + 2] > 255:
                spoiled[at + 4] = 0x70
                break
        path.write_bytes(bytes(spoiled))
        self.refused(path, "in a pickle of")


class Same(ConvertCase):
    def test_as_convert_torchvision_writes(self) -> None:
        path = self.save(state())
        status, said = self.run_converter("--checkpoint", path)
        self.assertEqual(status, 0, said)
        theirs = self.output.read_bytes()
        self.converted(path)
        ours = self.output.read_bytes()
        source = lambda data: json.loads(data[8:8 + int.from_bytes(data[:8], "little")])  # noqa: E731
        a, b = source(theirs), source(ours)
        for header in (a, b):
            del header["__metadata__"]["source"]
        self.assertEqual(a, b)
        size = sum(np.prod(entry["shape"]) * 4 for name, entry in a.items() if name != "__metadata__")
        self.assertEqual(theirs[-int(size):], ours[-int(size):])


if __name__ == "__main__":
    unittest.main(verbosity=2)

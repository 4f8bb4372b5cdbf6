"""The whole family converts: for each layout random networks, whose outputs must be PyTorch's, computed from the written
file and by the C++ engine on every ISA, at two input sizes."""

from __future__ import annotations

import json
import random
import sys
import unittest
from typing import Any, Callable, Optional

from support import converter_networks as nets
from support.converter import RUN_NETWORK, EngineCase, forward, nn, parse_model_file, randomise, torch

from mnv2.convert.known_layouts import LAYOUTS

CONFIGURATIONS = 20  # of each layout
WIDTHS = (0.1, 0.25, 0.35, 0.5)
SIZES = (32, 33, 40, 47, 56, 64, 75, 96)
RELUS = {"relu6": nn.ReLU6, "relu": nn.ReLU}

# Makes a network out of (random numbers, width, classes, what all networks take); with the converter's arguments.
Maker = Callable[[random.Random, float, int, dict[str, Any]], tuple[nn.Module, list[str]]]


def other_lengths(rng: random.Random, rows: nets.Rows, strides: bool = False) -> list[list[float]]:
    """`rows` with other n, and with other t where they expand; with `strides` also other c and s."""
    return [[t if t == 1 else rng.choice((2, 3, 4, 6)), c + 8 * rng.randrange(3) * strides, rng.randint(1, 3),
             rng.choice((1, 2)) if strides else s] for t, c, n, s in rows]


def stated(rows: nets.Rows) -> list[str]:
    return ["--inverted-residual-setting", json.dumps(rows)]


class Family(EngineCase):
    def check_layout(self, layout: str, make: Maker, names: set[str]) -> None:
        """`names`: some of the names that the layout must have."""
        rng = random.Random(layout)
        isas = self.isas() if RUN_NETWORK else []
        for number in range(CONFIGURATIONS):
            width = 1.0 if number == 0 else rng.choice(WIDTHS)
            classes = 1000 if number == 0 else 1 if number == 3 else rng.randint(2, 40)
            activation, same = rng.choice(("relu6", "relu6", "relu")), rng.random() < 0.3
            torch.manual_seed(number)
            network, arguments = make(rng, width, classes, {"activation": RELUS[activation], "same": same})
            network = randomise(network)
            if network(torch.zeros(1, 3, 32, 32)).shape == (1, 1):
                arguments += ["--output-activation", "none"]  # of one output nobody knows what it is
            arguments += ["--activation", activation] * (activation == "relu") + ["--padding", "same"] * same
            sizes = [(rng.choice(SIZES), rng.choice(SIZES)), (96, 96)]
            with self.subTest(number=number, width=width, classes=classes, sizes=sizes, arguments=arguments):
                self.assertLessEqual(names, set(network.state_dict()))
                # Every ISA for some, one of them in turn for the others.
                self.check(layout, network, arguments, sizes, isas if number in (1, 2) else
                           isas[number % len(isas):][:1] if isas else [])

    def check(self, layout: str, network: nn.Module, arguments: list[str], sizes: list[tuple[int, int]],
              isas: list[str]) -> None:
        status, stderr = self.run_converter("--checkpoint", self.save(network.state_dict()), *arguments)
        self.assertEqual(status, 0, stderr)
        self.assertIn(f": {LAYOUTS[layout].title}, ", stderr)
        metadata, tensors = parse_model_file(self.output)
        for size in sizes:
            images = torch.randn(2, 3, *size)
            if "none" in arguments:
                images[1] *= 4  # noise as loud gives the same pooled features, and one sum of them may be near 0
            with torch.no_grad():
                expected = network(images)
            expected = (expected.mean((2, 3)) if expected.ndim == 4 else expected).numpy()
            self.compare(forward(metadata, tensors, images), expected, f"folded, {size}")
            for isa in isas:
                self.compare(self.run_engine(images, expected.shape[1], isa, (1, 3)), expected, f"{isa}, {size}")

    def test_flat(self) -> None:
        def make(rng: random.Random, width: float, classes: int, common: dict[str, Any]) -> tuple[nn.Module, list[str]]:
            if rng.random() < 0.6:
                return nets.FlatV2(width, classes, **common), []
            rows = other_lengths(rng, nets.V2_ROWS[:rng.randint(2, 7)], strides=True)
            return nets.FlatV2(width, classes, rows, **common), stated(rows)

        self.check_layout("flat", make, {"features.0.weight", "features.3.conv.3.weight", "classifier.1.bias"})

    def test_biased(self) -> None:
        def make(rng: random.Random, width: float, classes: int, common: dict[str, Any]) -> tuple[nn.Module, list[str]]:
            if rng.random() < 0.5:
                return nets.BiasedV2(width, classes, **common), []
            strides = rng.random() < 0.5
            rows = other_lengths(rng, nets.V2_ROWS[:-1], strides)
            rows[0][2] = 1
            return nets.BiasedV2(width, classes, rows, **common), stated(rows) if strides else []

        self.check_layout("biased", make, {"layer_1_conv.bias", "layer_2_bottleneck.conv_1.bias", "layer_10_conv.bias",
                                           "layer_7_bottleneck.0.bn_3.running_var"})

    def test_features(self) -> None:
        def make(rng: random.Random, width: float, classes: int, common: dict[str, Any]) -> tuple[nn.Module, list[str]]:
            width = rng.choice((width, rng.uniform(0.1, 0.6), 1.1))
            if rng.random() < 0.6:
                return nets.FeaturesV2(width, **common), []
            rows = other_lengths(rng, nets.V2_ROWS[:rng.randint(2, 7)], strides=True)
            return nets.FeaturesV2(width, rows, **common), stated(rows)

        self.check_layout("features", make, {"first_layer.0.weight", "layers.0.conv.6.weight", "last_layer.1.bias"})

    def test_mobilenet_v1(self) -> None:
        def make(rng: random.Random, width: float, classes: int, common: dict[str, Any]) -> tuple[nn.Module, list[str]]:
            if rng.random() < 0.6:
                return nets.V1(width, classes, **common), []
            blocks = [(c + 8 * rng.randrange(3), rng.choice((1, 2))) for c, _ in nets.V1_BLOCKS[:rng.randint(2, 13)]]
            return nets.V1(width, classes, blocks, **common), stated([(1, c, 1, s) for c, s in blocks])

        self.check_layout("mobilenetv1", make, {"bottleneck.0.bias", "bottleneck.3.depthwise.0.bias", "classifier.1.bias"})

    def test_timm_mobilenetv2(self) -> None:
        def make(rng: random.Random, width: float, classes: int, common: dict[str, Any]) -> tuple[nn.Module, list[str]]:
            classes = rng.choice((classes, classes, 0))
            choice = rng.random()
            rows: Optional[nets.Rows] = None if choice < 0.5 else other_lengths(rng, nets.V2_ROWS, strides=choice > 0.8)
            network = nets.Timm(2, width, classes, rows, fixed=rng.random() < 0.3, **common)
            return network, stated([(t, network.blocks[i][0].bn3.num_features if t != 1 else
                                     network.blocks[i][0].bn2.num_features, n, s)
                                    for i, (t, _, n, s) in enumerate(rows)]) if choice > 0.8 else []

        self.check_layout("timm-mobilenetv2", make, {"conv_stem.weight", "bn1.running_mean", "blocks.0.0.conv_dw.weight",
                                                     "blocks.1.0.conv_pwl.weight", "conv_head.weight", "bn2.bias"})

    def test_timm_mobilenetv1(self) -> None:
        def make(rng: random.Random, width: float, classes: int, common: dict[str, Any]) -> tuple[nn.Module, list[str]]:
            rows: Optional[nets.Rows] = None if rng.random() < 0.5 else other_lengths(rng, nets.TIMM_V1_ROWS)
            return nets.Timm(1, width, classes, rows, fixed=rng.random() < 0.3,
                             head=rng.choice((None, 64, 100)), **common), []

        self.check_layout("timm-mobilenetv1", make, {"conv_stem.weight", "blocks.4.0.conv_dw.weight",
                                                     "blocks.4.0.bn2.weight", "classifier.bias"})

    def test_first_tensor_that_does_not_fit(self) -> None:
        torch.manual_seed(1)
        cases: list[tuple[str, nn.Module, list[tuple[str, Any, str]]]] = [
            ("flat", nets.FlatV2(0.1, 3), [
                ("features.20.weight", None, "features.20.weight is missing, expected [any, 32, 1, 1]"),
                ("features.4.conv.4.running_var", None, "features.4.conv.4.running_var is missing, expected [48]"),
                ("features.4.conv.3.weight", (48, 1, 5, 5), "has the shape [48, 1, 5, 5], expected [48, 1, 3, 3]"),
                ("features.4.conv.3.weight", (48, 2, 3, 3), "has the shape [48, 2, 3, 3], expected [48, 1, 3, 3]"),
                ("features.0.alpha", (8,), "features.0.alpha [8] is unexpected")]),
            ("biased", nets.BiasedV2(0.1, 3), [
                ("layer_1_conv.bias", None, "layer_1_conv.bias is missing, expected [8]"),
                ("layer_1_conv.weight", None, "layer_1_conv.weight is missing, expected [any, 3, 3, 3]"),
                ("layer_4_bottleneck.1.conv_2_dw.bias", (47,), "has the shape [47], expected [48]"),
                ("layer_10_conv.weight", (3, 1280), "has the shape [3, 1280], expected [any, 1280, 1, 1]")]),
            ("features", nets.FeaturesV2(0.1), [
                ("layers.5.conv.6.weight", None, "layers.5.conv.6.weight is missing"),
                ("classifier.weight", (3, 1281), "classifier.weight has the shape [3, 1281], expected [any, 1280]")]),
            ("mobilenetv1", nets.V1(0.1, 3), [
                ("bottleneck.9.pointwise.0.bias", None, "bottleneck.9.pointwise.0.bias is missing"),
                ("bottleneck.0.weight", (3, 3, 5, 5), "expected [any, 3, 3, 3]"),
                ("classifier.1.weight", (3, 7), "classifier.1.weight has the shape [3, 7], expected [any, 102]")]),
            ("timm-mobilenetv2", nets.Timm(2, 0.1, 3), [
                ("blocks.2.1.conv_pwl.weight", None, "blocks.2.1.conv_pwl.weight is missing, expected [any, 48, 1, 1]"),
                ("blocks.3.0.se.conv_reduce.weight", (4, 48, 1, 1), "blocks.3.0.se.conv_reduce.weight [4, 48, 1, 1] is unex"),
                ("classifier.bias", (4,), "classifier.bias has the shape [4], expected [3]")]),
            ("timm-mobilenetv1", nets.Timm(1, 0.1, 3), [
                ("blocks.0.0.bn1.weight", None, "blocks.0.0.bn1.weight is missing, expected [8]"),
                ("blocks.0.0.conv_dw.weight", (8, 2, 3, 3), "expected [8, 1, 3, 3]")]),
        ]
        for layout, network, changes in cases:
            for name, shape, message in changes:
                with self.subTest(layout=layout, name=name):
                    tensors = dict(network.state_dict())
                    tensors.pop(name, None)
                    if shape is not None:
                        tensors[name] = torch.ones(shape)
                    text = self.assert_refused(self.save(tensors), message)
                    self.assertIn(f"not a {LAYOUTS[layout].title}, the closest of the known layouts: ", text)
                    self.assertIn(f"not a {LAYOUTS[layout].title}, as --arch {layout} wants: ",
                                  self.assert_refused(self.save(tensors), message, "--arch", layout))

    def test_what_is_assumed_and_can_be_stated(self) -> None:
        torch.manual_seed(2)
        timm2, timm1, flat = randomise(nets.Timm(2, 0.1, 3)), nets.Timm(1, 0.1, 3), nets.FlatV2(0.1, 3)
        imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
        half = {"mean": [0.5] * 3, "std": [0.5] * 3}
        for network, arguments, resize, crop, interpolation, scale in (
                (timm2, [], 256, 224, "bicubic", imagenet), (timm1, [], 256, 224, "bicubic", half),
                (timm2, ["--crop", "160"], 182, 160, "bicubic", imagenet),
                (timm2, ["--crop", "160", "--resize", "200", "--interpolation", "bilinear"], 200, 160, "bilinear", imagenet),
                (flat, [], 256, 224, "bilinear", imagenet), (flat, ["--interpolation", "bicubic"], 256, 224, "bicubic", imagenet),
                (flat, ["--mean", "0.5,0.5,0.5", "--std", ".5,.5,.5"], 256, 224, "bilinear", half)):
            metadata, _ = self.convert(network.state_dict(), *arguments)
            self.assertEqual(json.loads(metadata["preprocessing"]),
                             {"resize": resize, "crop": crop, "interpolation": interpolation, **scale})

        for module in timm2.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-3
        status, stderr = self.run_converter("--checkpoint", self.save(timm2.state_dict()), "--bn-eps", "0.001")
        self.assertEqual(status, 0, stderr)
        self.assertIn("a checkpoint does not say: relu6 (--activation), symmetric padding (--padding), BatchNorm eps 0.001 "
                      "(--bn-eps), strides 1,2,1,2,1,1,2,1,1,1,1,1,1,2,1,1,1", stderr)
        images = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            self.compare(forward(*parse_model_file(self.output), images), timm2(images).numpy(), "eps 0.001")
        path = self.save(nets.FeaturesV2(0.1).state_dict())
        (self.folder / "labels").write_text("a\n")
        self.assert_refused(path, "labels for a network that has no classifier", "--labels", self.folder / "labels")
        self.assert_refused(self.save(flat.state_dict()), "--std", "--std", "0,1,1", status=2)

    @unittest.skipUnless(RUN_NETWORK, "MNV2_RUN_NETWORK does not name the engine's test tool: converter only")
    def test_engine_was_compared(self) -> None:
        self.assertIn("portable", self.isas())


if __name__ == "__main__":
    print(f"torch {torch.__version__}, python {sys.version.split()[0]}, engine {RUN_NETWORK or 'not compared'}")
    unittest.main(verbosity=2)

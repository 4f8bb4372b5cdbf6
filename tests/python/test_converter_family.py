"""The whole family converts: for each layout random networks, whose outputs must be PyTorch's, computed from the written
file and by the C++ engine on every ISA, at two input sizes."""

from __future__ import annotations

import json
import random
import sys
import unittest
from typing import Any, Callable, Optional

import converter_networks as nets
from converter_support import RUN_NETWORK, EngineCase, forward, nn, parse_model_file, randomise, torch

from mnv2_known_layouts import LAYOUTS

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
            classes = 1000 if number == 0 else rng.randint(1, 40)
            activation, same = rng.choice(("relu6", "relu6", "relu")), rng.random() < 0.3
            torch.manual_seed(number)
            network, arguments = make(rng, width, classes, {"activation": RELUS[activation], "same": same})
            arguments += ["--activation", activation] * (activation == "relu") + ["--padding", "same"] * same
            sizes = [(rng.choice(SIZES), rng.choice(SIZES)), (96, 96)]
            with self.subTest(number=number, width=width, classes=classes, sizes=sizes, arguments=arguments):
                self.assertLessEqual(names, set(network.state_dict()))
                # Every ISA for some, one of them in turn for the others.
                self.check(layout, randomise(network), arguments, sizes, isas if number in (1, 2) else
                           isas[number % len(isas):][:1] if isas else [])

    def check(self, layout: str, network: nn.Module, arguments: list[str], sizes: list[tuple[int, int]],
              isas: list[str]) -> None:
        status, stderr = self.run_converter("--checkpoint", self.save(network.state_dict()), *arguments)
        self.assertEqual(status, 0, stderr)
        self.assertIn(f": {LAYOUTS[layout].title}, ", stderr)
        metadata, tensors = parse_model_file(self.output)
        for size in sizes:
            images = torch.randn(2, 3, *size)
            with torch.no_grad():
                expected = network(images)
            expected = (expected.mean((2, 3)) if expected.ndim == 4 else expected).numpy()
            self.compare(forward(metadata, tensors, images), expected, f"folded, {size}")
            for isa in isas:
                self.compare(self.run_engine(images, expected.shape[1], isa, 2), expected, f"{isa}, {size}")

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

    @unittest.skipUnless(RUN_NETWORK, "MNV2_RUN_NETWORK does not name the engine's test tool: converter only")
    def test_engine_was_compared(self) -> None:
        self.assertIn("portable", self.isas())


if __name__ == "__main__":
    print(f"torch {torch.__version__}, python {sys.version.split()[0]}, engine {RUN_NETWORK or 'not compared'}")
    unittest.main(verbosity=2)

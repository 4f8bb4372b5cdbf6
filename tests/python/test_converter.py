"""Converted networks give PyTorch's logits: computed from the written file, and by the C++ engine on every ISA."""

from __future__ import annotations

import json
import sys
import unittest
from typing import Any

from support.converter import (RUN_NETWORK, SHARED, TOLERANCE, ConverterCase, EngineCase, forward, np, parse_model_file,
                               random_network, strides_of, torch)
from torchvision.models import MobileNetV2

SIZES = ((96, 96), (75, 61))

CONFIGURATIONS: list[dict[str, Any]] = [
    {"width_mult": 0.1}, {"width_mult": 0.1, "round_nearest": 1, "num_classes": 3},
    {"width_mult": 0.2, "round_nearest": 4, "num_classes": 17}, {"width_mult": 0.25, "num_classes": 2},
    {"width_mult": 0.3, "round_nearest": 16, "num_classes": 10}, {"width_mult": 0.35, "round_nearest": 1},
    {"width_mult": 0.35, "num_classes": 37}, {"width_mult": 0.5, "num_classes": 100},
    {"width_mult": 0.6, "round_nearest": 1, "num_classes": 5}, {"width_mult": 0.75, "round_nearest": 16},
    {"width_mult": 0.75, "num_classes": 365}, {"num_classes": 1000}, {"num_classes": 7, "round_nearest": 4},
    {"width_mult": 1.1, "round_nearest": 1, "num_classes": 11}, {"width_mult": 1.3, "num_classes": 21},
    {"width_mult": 1.4, "num_classes": 1001}, {"width_mult": 1.4, "round_nearest": 16, "num_classes": 4},
]
ONE_CLASS: list[dict[str, Any]] = [{"num_classes": 1}, {"width_mult": 0.1, "num_classes": 1}, {"width_mult": 1.4, "num_classes": 1}]
# Tables whose strides follow from the shapes.
TABLES: list[list[list[float]]] = [
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2]],
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 40, 3, 2], [6, 80, 4, 2], [6, 112, 3, 1], [6, 192, 3, 2], [6, 320, 1, 1]],
    [[1, 16, 2, 1], [3, 24, 1, 2], [4, 32, 2, 2], [5, 64, 2, 2], [6, 96, 1, 1], [2, 160, 2, 2], [1, 320, 1, 1]],
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2], [6, 64, 2, 2], [6, 96, 2, 1], [6, 160, 2, 2], [6, 320, 1, 1]],
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 64, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]],
    [[1, 8, 1, 1], [2.5, 16, 2, 2], [3, 20, 1, 2]],
]
# Tables whose strides nobody can see.
STATED_TABLES: list[list[list[float]]] = [
    [[1, 32, 2, 1], [6, 32, 2, 2], [6, 32, 2, 1], [1, 48, 1, 2]],
    [[4, 16, 1, 2], [4, 24, 3, 1], [0.5, 40, 2, 2]],
    [[1, 12, 2, 2]],
]


class RandomNetworks(EngineCase):
    def check(self, options: dict[str, Any], *arguments: Any) -> None:
        network = random_network(len(repr(options)), **options)
        metadata, tensors = self.convert(network.state_dict(), *arguments)
        architecture = json.loads(metadata["architecture"])
        self.assertEqual([block["depthwise"]["stride"] for block in architecture["blocks"]], strides_of(network))
        self.assertEqual([block["residual"] for block in architecture["blocks"]],
                         [block.use_res_connect for block in network.features[1:-1]])
        for size in SIZES:
            images = torch.randn(2, 3, *size)
            with torch.no_grad():
                expected = network(images).numpy()
            self.compare(forward(metadata, tensors, images), expected, f"folded, {size}")
            if RUN_NETWORK:
                for isa in self.isas():
                    self.compare(self.run_engine(images, expected.shape[1], isa, (2,)), expected, f"{isa}, {size}")

    def test_configurations(self) -> None:
        for options in CONFIGURATIONS:
            with self.subTest(**options):
                self.check(options)

    def test_one_class(self) -> None:
        """Of one output nobody knows what it is unless it is said."""
        for options, activation in zip(ONE_CLASS, ("sigmoid", "none", "sigmoid")):
            with self.subTest(**options):
                self.check(options, "--output-activation", activation)

    def test_tables_found_from_the_shapes(self) -> None:
        for table in TABLES:
            for width in (1.0, 0.75):
                with self.subTest(table=table, width=width):
                    self.check({"inverted_residual_setting": table, "width_mult": width, "num_classes": 9})

    def test_tables_stated(self) -> None:
        for table in STATED_TABLES:
            with self.subTest(table=table):
                self.check({"inverted_residual_setting": table, "num_classes": 6, "width_mult": 0.5},
                           "--inverted-residual-setting", json.dumps(table))

    @unittest.skipUnless(RUN_NETWORK, "MNV2_RUN_NETWORK does not name the engine's test tool: converter only")
    def test_untrained(self) -> None:
        """As torchvision initialises it: activations fade from layer to layer, down to 1e-9."""
        for width in (0.25, 1.0, 1.4):
            with self.subTest(width=width):
                torch.manual_seed(int(100 * width))
                network = MobileNetV2(width_mult=width, num_classes=9).eval()
                self.convert(network.state_dict())
                images = torch.randn(2, 3, 96, 80)
                with torch.no_grad():
                    expected = network(images).numpy()
                self.assertLess(np.abs(expected).max(), 1e-5)
                for isa in self.isas():
                    self.compare(self.run_engine(images, 9, isa, (1, 2)), expected, isa)

    def check_rescaled(self, network: MobileNetV2, what: str) -> None:
        self.convert(network.state_dict())
        images = torch.randn(2, 3, 96, 80)
        with torch.no_grad():
            expected = network(images).numpy()
        for isa in self.isas():
            with self.subTest(what, isa=isa):
                self.compare(self.run_engine(images, expected.shape[1], isa, (1, 2)), expected, isa)

    @unittest.skipUnless(RUN_NETWORK, "MNV2_RUN_NETWORK does not name the engine's test tool: converter only")
    def test_channels_of_any_size(self) -> None:
        """Between two blocks a channel may be large where its readers' weights are small: the same network."""
        for spread in (3.0, 10.0, 30.0, 100.0, 1e4):
            network = random_network(5, num_classes=9)
            blocks = network.features[1:-1]
            with torch.no_grad():
                for block, reader in zip(blocks, network.features[2:]):
                    if not block.use_res_connect:
                        factors = spread ** (2 * torch.rand(block.conv[-1].num_features) - 1)
                    block.conv[-1].weight *= factors
                    block.conv[-1].bias *= factors
                    convolution = reader[0] if reader is network.features[-1] else reader.conv[0][0]
                    convolution.weight /= factors.view(1, -1, 1, 1)
            self.check_rescaled(network, f"spread {spread}")

    @unittest.skipUnless(RUN_NETWORK, "MNV2_RUN_NETWORK does not name the engine's test tool: converter only")
    def test_filters_that_saturate(self) -> None:
        """Activations are 0 or 6, however large the sums before the clamp."""
        for factor in (1e12, 1e16):
            network = random_network(6, num_classes=9)
            with torch.no_grad():
                for block in (network.features[3], network.features[9]):
                    block.conv[1][0].weight *= factor
            self.check_rescaled(network, f"factor {factor}")

    @unittest.skipUnless(RUN_NETWORK, "MNV2_RUN_NETWORK does not name the engine's test tool: converter only")
    def test_engine_was_compared(self) -> None:
        self.assertIn("portable", self.isas())


@unittest.skipUnless((SHARED / "weights/mobilenet_v2.pth").exists(), f"no real weights in {SHARED}")
class RealWeights(ConverterCase):
    def test_logits_of_real_photos(self) -> None:
        status, stderr = self.run_converter("--checkpoint", SHARED / "weights/mobilenet_v2.pth")
        self.assertEqual(status, 0, stderr)
        metadata, tensors = parse_model_file(self.output)
        crops = torch.from_numpy(np.load(SHARED / "reference/dev_crops_u8.npy")[:8]).permute(0, 3, 1, 2)
        expected = np.load(SHARED / "reference/dev_logits.npy")[:8]
        preprocessing = json.loads(metadata["preprocessing"])
        mean, std = (torch.tensor(preprocessing[key]).view(3, 1, 1) for key in ("mean", "std"))
        logits = forward(metadata, tensors, (crops / 255.0 - mean) / std)
        self.assertLessEqual(np.abs(logits - expected).max(), TOLERANCE * np.abs(expected).max())
        names = (SHARED / "weights/imagenet_categories.txt").read_text().splitlines()
        self.assertEqual(json.loads(metadata["labels"]), names)
        self.assertEqual((preprocessing["resize"], preprocessing["crop"]), (256, 224))


if __name__ == "__main__":
    print(f"torch {torch.__version__}, python {sys.version.split()[0]}, engine {RUN_NETWORK or 'not compared'}")
    unittest.main(verbosity=2)

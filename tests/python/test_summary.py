"""--summary against PyTorch's own count, layer by layer, and --input-size.

MNV2_PROGRAM is mnv2-classify. Needs torch and torchvision; exit status 77 says that they are not there.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import converter_networks as nets
from support.converter import nn, torch
from torchvision.models import mobilenet_v2

from mnv2.convert.module import convert
from mnv2.convert.preprocessing import PreprocessingWishes

PROGRAM = os.environ["MNV2_PROGRAM"]


def torch_layers(network: nn.Module, size: int) -> list[dict]:
    """Each convolution and linear layer in order of execution: output shape, parameters with its BatchNorm's, multiply-adds."""
    found: list[dict] = []

    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters(recurse=False))

    def seen(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        if isinstance(module, nn.BatchNorm2d):
            found[-1]["parameters"] += count(module)
            return
        shape = list(output.shape)
        if isinstance(module, nn.Linear) or shape[2:] == [1, 1]:  # a classifier may be a convolution
            shape = shape[:2]
        found.append({"shape": shape, "parameters": count(module),
                      "multiply_adds": module.weight.numel() * (output[0, 0].numel() if output.ndim == 4 else 1)})

    hooks = [m.register_forward_hook(seen) for m in network.modules()
             if isinstance(m, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))]
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return found


def run(*arguments: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == status, (arguments, result.stderr)
    return result


class Summary(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.model = str(Path(folder.name) / "model.safetensors")

    def summary(self, network: nn.Module, size: int = 64, *flags: str) -> dict:
        torch.manual_seed(1)
        convert(network.eval(), torch.zeros(1, 3, size, size), self.model,
                wishes=PreprocessingWishes(resize=size, crop=size))
        return json.loads(run("--summary", "-m", self.model, "-f", "json", *flags).stdout)

    def test_layer_by_layer(self) -> None:
        for name, network in [
                ("N1", mobilenet_v2(width_mult=0.35, num_classes=7)), ("N2", nets.FlatV2(0.5, 11)),
                ("N3", nets.BiasedV2(0.25, 5)), ("N4", nets.FeaturesV2(0.3)), ("N5", nets.V1(0.25, 6)),
                ("timm V1", nets.Timm(1, 0.25, 5)), ("timm V2", nets.Timm(2, 0.35, 5))]:
            for size in (64, 75):
                with self.subTest(name, size=size):
                    summary = self.summary(network, 64, "--input-size", str(size))
                    rows = [row for row in summary["layers"] if row["name"] != "pool"]
                    expected = torch_layers(network, size)
                    self.assertEqual(len(rows), len(expected))
                    for row, layer in zip(rows, expected):
                        self.assertEqual((row["output_shape"], row["parameters"], row["multiply_adds"]),
                                         (layer["shape"], layer["parameters"], layer["multiply_adds"]), row["name"])
                    self.assertTrue(summary["parameters_as_trained"])
                    self.assertEqual(summary["total"]["parameters"], sum(p.numel() for p in network.parameters()))

    def test_the_known_totals_of_mobilenet_v2(self) -> None:
        summary = self.summary(mobilenet_v2(), 224)
        self.assertEqual(summary["total"]["parameters"], 3_504_872)
        self.assertEqual(round(summary["total"]["multiply_adds"] / 1e5), 3008)
        self.assertNotIn("separable_costs", summary)
        text = run("--summary", "-m", self.model).stdout
        self.assertRegex(text, r"\n  stem +3x3/2 ReLU6 +32x112x112 +928 +10\.84 .* 3\n")
        self.assertIn("  3,504,872 parameters as trained, 3,487,816 with BatchNorm folded in,\n  300,774,272 multiply-adds\n", text)
        self.assertLessEqual(max(map(len, text.splitlines()[1:])), 80)  # the first is the file's name

    def test_receptive_fields_by_the_gradient(self) -> None:
        """How far apart the image's pixels are that one output pixel depends on: positive weights, no clamps."""
        network = mobilenet_v2(width_mult=0.1, num_classes=2).eval()
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.constant_(module.weight, 0.01)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 10.0)
        fields = {row["name"]: row["receptive_field"] for row in self.summary(network, 96)["layers"]}
        for block, name in ((1, "blocks.0.project"), (3, "blocks.2.project"), (5, "blocks.4.project")):
            linear = network.features[:block + 1].double()
            for module in linear.modules():
                if isinstance(module, nn.ReLU6):
                    module.max_val = float("inf")
            image = torch.ones(1, 3, 201, 201, dtype=torch.double, requires_grad=True)
            output = linear(image)
            output[0, :, output.shape[2] // 2, output.shape[3] // 2].sum().backward()
            touched = image.grad[0].abs().sum(0).amax(1).nonzero()
            self.assertEqual(int(touched.max() - touched.min()) + 1, fields[name], name)

    def test_the_cost_formula_of_mobilenet_v1(self) -> None:
        alpha, side = 0.5, 96
        summary = self.summary(nets.V1(alpha, 4), side)
        m, d_f = int(32 * alpha), side // 2
        self.assertEqual(len(summary["separable_costs"]), 13)
        for cost, (c, stride) in zip(summary["separable_costs"], nets.V1_BLOCKS):
            n, d_f = int(c * alpha), d_f // stride
            self.assertEqual((cost["depthwise"], cost["pointwise"]), (9 * m * d_f ** 2, m * n * d_f ** 2))
            m = n
        text = run("--summary", "-m", self.model).stdout
        self.assertIn("D_K^2 aM (rD_F)^2 + aM aN (rD_F)^2", text)
        self.assertIn("\n  alpha = 0.5, rho = 96 / 224 = 0.4286\n", text)

    def test_the_multipliers_of_mobilenet_v1(self) -> None:
        for alpha in (0.1, 0.25, 0.3, 0.6, 0.75, 1.0, 1.25, 0.333):
            summary = self.summary(nets.V1(alpha, 4), 64, "--input-size", "160")
            self.assertEqual((summary["alpha"], round(summary["rho"], 5)), (alpha, round(160 / 224, 5)))
        other = self.summary(nets.V1(0.5, 4, [(c + 8 * (c == 256), s) for c, s in nets.V1_BLOCKS]))
        self.assertEqual((other["alpha"], other["rho"]), (None, None))
        self.assertEqual(self.summary(nets.Timm(1, 0.5, 4))["alpha"], 0.5)
        self.assertNotIn("alpha", self.summary(mobilenet_v2(width_mult=0.1, num_classes=2)))

    def test_wrong_use(self) -> None:
        self.summary(nets.V1(0.25, 4))
        for arguments, status, message in [
                (["--summary", "x.jpg"], 2, "--summary: takes no images"),
                (["--summary", "--bench"], 2, "--summary: not with --bench, --eval or --list-models"),
                (["--summary", "-f", "csv"], 2, "--summary: gives text or json, not csv"),
                (["--summary", "--input-size", "31"], 2, "'31' is not a whole number from 32 to 4096"),
                (["--summary", "--input-size", "64", "--crop", "64"], 2, "--input-size: not with --crop"),
                (["--summary", "-m", __file__], 3, "cannot use the model")]:
            result = run("-m", self.model, *arguments, status=status)
            self.assertEqual(result.stdout, "")
            self.assertIn(message, result.stderr)


class InputSize(unittest.TestCase):
    def test_the_resize_goes_along(self) -> None:
        """--input-size N is --crop N with the resize in proportion."""
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "m.safetensors")
            torch.manual_seed(1)
            convert(mobilenet_v2(width_mult=0.1, num_classes=3).eval(), torch.zeros(1, 3, 64, 64), model,
                    wishes=PreprocessingWishes(resize=73, crop=64))
            image = os.path.join(folder, "i.png")
            from PIL import Image
            Image.effect_mandelbrot((150, 111), (-2, -1.5, 1, 1.5), 40).convert("RGB").save(image)
            both = [run("-m", model, *flags, image).stdout
                    for flags in (["--input-size", "97"], ["--crop", "97", "--resize", str(round(73 * 97 / 64))], [])]
            self.assertEqual(both[0], both[1])
            self.assertNotEqual(both[0], both[2])


if __name__ == "__main__":
    unittest.main()

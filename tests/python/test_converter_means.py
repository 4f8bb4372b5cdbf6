"""What the converter writes for arithmetic of less than float32: each layer's mean input, and weights as bfloat16."""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any, Optional
from unittest import mock

from support import converter_networks as nets
from support.any_network import random_any_network
from support.convert import ConvertCase
from support.converter import (RUN_NETWORK, SHARED, convert_torchvision, forward, np, parse_dtypes, parse_model_file,
                               random_network, randomise, state, torch, NETWORK)
from torch import nn
from torchvision.models import mobilenet_v2

try:
    from PIL import Image
    from torchvision import transforms
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

from mnv2.convert import calibration, layer_means, model_file, safetensors

TOLERANCE = 2e-5  # of a layer's largest mean: float32 sums


def means_of(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name[:-len(".input_mean")]: values for name, values in tensors.items() if name.endswith(".input_mean")}


def observed_means(network: nn.Module, images: torch.Tensor) -> list[np.ndarray]:
    """The mean input of each dense layer and convolution but the depthwise ones, in order of execution."""
    found: list[torch.Tensor] = []

    def see(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        axes = (0,) if given[0].ndim == 2 else (0, 2, 3)
        found.append(given[0].double().mean(axes))

    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and getattr(m, "groups", 1) == 1]
    handles = [layer.register_forward_pre_hook(see) for layer in layers]
    with torch.no_grad():
        network.eval()(images)
    for handle in handles:
        handle.remove()
    return [mean.numpy() for mean in found]


class MeansCase(ConvertCase):
    def images(self, side: int, mean: Any = (0.485, 0.456, 0.406), std: Any = (0.229, 0.224, 0.225)) -> torch.Tensor:
        """The synthetic images, normalised by PyTorch."""
        pixels = np.stack(list(calibration.synthetic_images(side, calibration.SYNTHETIC_IMAGES, calibration.SEED)))
        return transforms.functional.normalize(torch.from_numpy(pixels) / 255, mean, std)

    def compare_means(self, expected: list[np.ndarray], tensors: Optional[dict[str, np.ndarray]] = None) -> None:
        metadata, written = parse_model_file(self.output)
        found = means_of(written if tensors is None else tensors)
        names = [name[:-7] for name in written if name.endswith(".weight") and not name.endswith(".depthwise.weight")]
        self.assertEqual((metadata["format_version"], list(found)), ("4", names))
        self.assertEqual(len(expected), len(names))
        for name, values in zip(names, expected):
            self.assertEqual((found[name].shape, found[name].dtype), (values.shape, np.dtype("f4")), name)
            self.assertLessEqual(np.abs(found[name] - values).max(), TOLERANCE * max(np.abs(values).max(), 1e-3), name)


class Means(MeansCase):
    def test_mobilenet_v2(self) -> None:
        """Of widths, heads and sides, and several batches."""
        hidden = random_network(6, width_mult=0.1)
        hidden.classifier = nn.Sequential(nn.Linear(1280, 9), nn.ReLU(), nn.Linear(9, 4))
        for network, side in ((NETWORK, 224), (random_network(2, width_mult=0.35, num_classes=7), 96),
                              (randomise(hidden), 75), (random_network(3, width_mult=0.1, num_classes=2), 33)):
            with self.subTest(side=side), mock.patch.object(calibration, "PIXELS_AT_ONCE", 2 * side * side), \
                    mock.patch.object(calibration, "SYNTHETIC_IMAGES", 5):
                self.convert(network.state_dict(), "--crop", side)
                self.compare_means(observed_means(network, self.images(side)))

    def test_by_convert(self) -> None:
        """Through scripts/convert.py, and with a normalisation of its own."""
        self.converted(self.save(state()), "--crop", 64, "--mean", "0.1,0.5,0.3", "--std", "1,0.5,0.2")
        self.compare_means(observed_means(NETWORK, self.images(64, (0.1, 0.5, 0.3), (1, 0.5, 0.2))))

    def test_of_a_module(self) -> None:
        class Network(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first, self.second = random_network(4, width_mult=0.1, num_classes=5).children()

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.second(self.first(x).mean((2, 3)))

        for network in (NETWORK, Network().eval()):
            convert_torchvision.convert(network, torch.randn(2, 3, 96, 96), self.output)
            self.compare_means(observed_means(network, self.images(96)))

    def test_mobilenet_v1_and_same_padding(self) -> None:
        for side in (64, 65):
            for same in (False, True):
                network = randomise(nets.V1(0.25, 5, same=same))
                self.convert(network.state_dict(), "--crop", side, "--padding", "same" if same else "symmetric")
                self.compare_means(observed_means(network, self.images(side)))

    def test_without_a_classifier(self) -> None:
        network = mobilenet_v2(width_mult=0.1)
        network.classifier = nn.Identity()
        self.convert(randomise(network).state_dict(), "--crop", 64)
        self.compare_means(observed_means(network, self.images(64)))

    def test_values_beyond_float32(self) -> None:
        """Then there are none, and an older version, which more programs read."""
        tensors = state()
        for part in ("weight", "running_var"):
            tensors[f"features.3.conv.3.{part}"].fill_(1)
        tensors["features.3.conv.2.weight"].fill_(1e38)
        path = self.save(tensors)
        status, said = self.run_converter("--checkpoint", path)
        self.assertEqual(status, 0, said)
        self.assertIn("beyond float32, so no layer's mean input is in the file", said)
        metadata, written = parse_model_file(self.output)
        self.assertEqual((metadata["format_version"], means_of(written)), ("2", {}))

    def test_inputs_too_large_to_measure(self) -> None:
        """A map of 4096 x 4096 x 96 is gigabytes: another side, as odd or even at every layer."""
        sides: list[int] = []
        original = calibration.synthetic_images
        with mock.patch.object(calibration, "synthetic_images", lambda side, *rest: sides.append(side) or original(side, *rest)):
            for crop in (512, 513, 4096, 1023):
                metadata, _ = self.convert(state(), "--crop", crop, "--resize", crop + 3)
                self.assertEqual(json.loads(metadata["preprocessing"])["crop"], crop)
        self.assertEqual(sides, [512, 481, 480, 511])

    def test_the_largest_real_network(self) -> None:
        self.assertEqual(calibration.PIXELS_AT_ONCE // 224 ** 2, 8)  # 40 MB for its largest map


class SyntheticImages(unittest.TestCase):
    """The recipe: photos' contrast, brightness and spectrum. Measured on many; the bounds are 4 standard errors wide."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.images = np.stack(list(calibration.synthetic_images(128, 200, 3)))

    def test_brightness_and_contrast(self) -> None:
        means = self.images.mean((2, 3))
        self.assertLess(abs(means.mean() - 118), 7)  # 25 / sqrt(200) * 4
        self.assertLess(abs(means.std() - 25), 5)
        # One brightness for all channels: the fields have no mean of their own.
        self.assertLess(np.abs(means - means.mean(1, keepdims=True)).mean(), 0.5)
        spread = self.images.std((2, 3)).mean()
        self.assertLess(abs(spread - 58 * np.hypot(0.9, 0.35)), 3)  # clipped at 0 and 255
        self.assertEqual((self.images.min(), self.images.max(), self.images.dtype), (0, 255, np.float32))

    def test_channels_that_go_together(self) -> None:
        pairs = [np.corrcoef(image.reshape(3, -1))[a, b] for image in self.images for a, b in ((0, 1), (0, 2), (1, 2))]
        self.assertLess(abs(np.mean(pairs) - 0.81 / (0.81 + 0.1225)), 0.02)

    def test_spectrum(self) -> None:
        """Amplitudes fall as 1 / frequency."""
        power = np.mean(np.abs(np.fft.rfft2(self.images.mean(1))) ** 2, 0)
        frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None, :])
        used = (frequency > 0.02) & (frequency < 0.3)
        slope = np.polyfit(np.log(frequency[used]), np.log(power[used]), 1)[0]
        self.assertLess(abs(slope + 2), 0.1)

    def test_same_again_and_never_alike(self) -> None:
        again = np.stack(list(calibration.synthetic_images(128, 3, 3)))
        np.testing.assert_array_equal(again, self.images[:3])
        self.assertGreater(np.abs(self.images[0] - self.images[1]).mean(), 10)
        for side in (1, 2, 33):
            image, = calibration.synthetic_images(side, 1, 1)
            self.assertEqual((image.shape, bool(np.isfinite(image).all())), ((3, side, side), True))


class Photos(MeansCase):
    def photo(self, name: str, width: int, height: int, seed: int, **options: Any) -> Path:
        path = self.folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        x, y = np.meshgrid(np.linspace(0, 6, width), np.linspace(0, 4, height))
        waves = np.stack([np.sin(x * (c + 1) + seed) * np.cos(y + c * seed) for c in range(3)], -1)
        Image.fromarray((127 + 120 * waves).astype(np.uint8)).save(path, **options)
        return path

    def expected(self, paths: list[Path], transform: Any, network: nn.Module = NETWORK) -> list[np.ndarray]:
        return observed_means(network, torch.stack([transform(Image.open(path).convert("RGB")) for path in paths]))

    TRANSFORM = transforms.Compose([transforms.Resize(80), transforms.CenterCrop(64), transforms.ToTensor(),
                                    transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])

    def test_means_of_photos(self) -> None:
        paths = [self.photo("b.png", 90, 120, 1), self.photo("a.JPG", 200, 100, 2, format="JPEG"),
                 self.photo("below/c.webp", 70, 64, 3, lossless=True), self.photo("d.jfif", 81, 99, 4, format="JPEG")]
        self.photo(".hidden.png", 64, 64, 9)
        self.photo(".hidden/e.png", 64, 64, 9)
        (self.folder / "photos" / "notes.txt").write_text("no photo")
        status, said = self.run_converter("--checkpoint", self.save(state()), "--crop", 64, "--resize", 80,
                                          "--calibrate", self.folder / "photos")
        self.assertEqual(status, 0, said)
        self.assertIn("that of 4 of the 4 photos in ", said)
        self.compare_means(self.expected(paths, self.TRANSFORM))

    def test_photos_on_their_side(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        path = self.photo("turned.jpg", 120, 80, 1, exif=exif, quality=95)
        self.convert(state(), "--crop", 64, "--resize", 80, "--calibrate", path.parent)
        turned = self.TRANSFORM(Image.open(path).convert("RGB").transpose(Image.ROTATE_270))
        self.compare_means(observed_means(NETWORK, turned[None]))

    def test_at_most_128_evenly_chosen(self) -> None:
        paths = [self.photo(f"{i:03}.png", 9, 8, i) for i in range(300)]
        self.convert(state(), "--crop", 8, "--resize", 8, "--calibrate", self.folder / "photos")
        transform = transforms.Compose([transforms.Resize(8), transforms.CenterCrop(8), *self.TRANSFORM.transforms[2:]])
        self.compare_means(self.expected([paths[i * 300 // 128] for i in range(128)], transform))

    def test_photos_that_cannot_be_read(self) -> None:
        good, bad = self.photo("good.png", 90, 120, 1), self.photo("bad.png", 90, 120, 1)
        bad.write_bytes(bad.read_bytes()[:500])
        path = self.save(state())
        arguments = ("--checkpoint", path, "--crop", 64, "--resize", 80, "--calibrate", good.parent)
        status, said = self.run_converter(*arguments)
        self.assertEqual(status, 0, said)
        self.assertIn("that of 1 of the 2 photos in ", said)
        self.assertIn(f"left out of the calibration: {bad}: ", said)
        self.compare_means(self.expected([good], self.TRANSFORM))
        good.write_bytes(b"no photo")
        self.output.unlink()
        said = self.assert_refused(path, "--calibrate: none of 2 photos can be read; the first: ", *arguments[2:])
        self.assertIn(str(bad), said)

    def test_what_is_no_folder_of_photos(self) -> None:
        path = self.save(state())
        (self.folder / "empty").mkdir()
        self.assert_refused(path, "there is no such folder", "--calibrate", self.folder / "nowhere")
        self.assert_refused(path, "no folder", "--calibrate", path)
        self.assert_refused(path, "no photo in it (.jpg, ", "--calibrate", self.folder / "empty")

    def test_pillow_is_needed_for_photos_only(self) -> None:
        self.photo("a.png", 90, 120, 1)
        with mock.patch.dict(sys.modules, {"PIL": None}):
            self.converted(self.save(state()), "--crop", 32)
            self.refused(self.save(state()), "PIL", "--crop", 32, "--calibrate", self.folder / "photos")

    @unittest.skipUnless((SHARED / "images/dev").exists(), f"no photos in {SHARED}")
    def test_what_the_means_are_for(self) -> None:
        """They undo a part of what rounding weights to 8 bits does to the real network's answers: photos more than synthetic
        images, and these more than nothing."""
        checkpoint = SHARED / "weights/mobilenet_v2.pth"
        if not checkpoint.exists():
            self.skipTest("no real weights")
        photos = sorted((SHARED / "images/dev").iterdir())
        (self.folder / "photos").mkdir()
        for path in photos[::4]:
            (self.folder / "photos" / path.name).symlink_to(path)
        full = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), *self.TRANSFORM.transforms[2:]])
        others = torch.stack([full(Image.open(path).convert("RGB")) for path in photos[1::6]])
        ratios = []
        for flags in ((), ("--calibrate", self.folder / "photos")):
            with mock.patch.object(calibration, "SYNTHETIC_IMAGES", 32):
                status, said = self.run_converter("--checkpoint", checkpoint, *flags)
            self.assertEqual(status, 0, said)
            metadata, tensors = parse_model_file(self.output)
            expected = forward(metadata, tensors, others)
            for means in ({}, means_of(tensors)):
                wrong = forward(metadata, rounded_to_8_bits(tensors, means), others) - expected
                ratios.append(10 * np.log10((expected ** 2).sum() / (wrong ** 2).sum()))
        nothing, synthetic, again, real = ratios
        print(f"no means {nothing:.1f} dB, synthetic images {synthetic:.1f} dB, photos {real:.1f} dB")
        self.assertEqual(nothing, again)
        self.assertGreater(synthetic, nothing + 1)
        self.assertGreater(real, synthetic + 1)


def rounded_to_8_bits(tensors: dict[str, np.ndarray], means: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of all but depthwise layers on a grid of 255 values by channel, the biases corrected by `means`."""
    result = dict(tensors)
    for name in [name[:-11] for name in tensors if name.endswith(".input_mean")]:
        weight = tensors[f"{name}.weight"].reshape(len(tensors[f"{name}.weight"]), -1)
        step = np.abs(weight).max(1, keepdims=True) / 127
        rounded = step * np.round(weight / step)
        result[f"{name}.weight"] = rounded.reshape(tensors[f"{name}.weight"].shape)
        if name in means:
            lost = (weight - rounded).reshape(len(weight), len(means[name]), -1).sum(2)
            result[f"{name}.bias"] = tensors[f"{name}.bias"] + lost @ means[name]
    return result


class Bfloat16(ConvertCase):
    def test_weights_are_rounded_to_nearest_even(self) -> None:
        _, exact = self.convert(state())
        full = self.output.stat().st_size
        metadata, rounded = self.convert(state(), "--dtype", "bfloat16")
        dtypes = parse_dtypes(self.output)
        self.assertEqual(metadata["format_version"], "4")
        self.assertEqual(set(rounded), set(exact))
        for name, values in exact.items():
            half = name.endswith(".weight") and not name.endswith(".depthwise.weight")
            self.assertEqual(dtypes[name], "BF16" if half else "F32", name)
            expected = torch.from_numpy(values.copy()).bfloat16().float().numpy() if half else values
            np.testing.assert_array_equal(rounded[name], expected, name)
        self.assertLess(self.output.stat().st_size, 0.7 * full)
        order = list(dtypes.values())
        self.assertEqual(order, sorted(order, key="BF16".__eq__))  # after all F32, which are aligned so

    def test_by_convert_and_of_a_module(self) -> None:
        self.converted(self.save(state()), "--dtype", "bfloat16", "--crop", 64)
        _, here = parse_model_file(self.output)
        convert_torchvision.convert(NETWORK, torch.randn(1, 3, 64, 64), self.output, dtype="bfloat16")
        self.assertIn("BF16", parse_dtypes(self.output).values())
        for name, values in parse_model_file(self.output)[1].items():
            np.testing.assert_array_equal(values, here[name], name)
        with self.assertRaisesRegex(convert_torchvision.ConversionError, "dtype 'int8', expected one of float32, bfloat16"):
            convert_torchvision.convert(NETWORK, torch.randn(1, 3, 64, 64), self.output, dtype="int8")

    def test_outputs_are_near(self) -> None:
        images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        metadata, tensors = self.convert(state(), "--dtype", "bfloat16")
        with torch.no_grad():
            expected = NETWORK(images).numpy()
        difference = np.abs(forward(metadata, tensors, images) - expected).max() / np.abs(expected).max()
        self.assertTrue(1e-5 < difference < 2e-2, difference)

    @unittest.skipUnless(RUN_NETWORK, "MNV2_RUN_NETWORK does not name the engine's test tool: converter only")
    def test_in_the_engine(self) -> None:
        images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        metadata, tensors = self.convert(state(), "--dtype", "bfloat16")
        expected = forward(metadata, tensors, images)
        for isa in self.isas():
            self.compare(self.run_engine(images, 3, isa, (1, 2)), expected, isa)

    def test_rounding(self) -> None:
        """Every kind of value, against PyTorch's."""
        rng = np.random.default_rng(1)
        bits = np.concatenate([rng.integers(0, 1 << 32, 100000, dtype=np.uint32), np.arange(1 << 16, dtype=np.uint32) << 16 | 0x8000,
                               np.array([0, 1, 0x80000000, 0x7f7fffff, 0xff7fffff, 0x7f7f7fff], np.uint32)])
        values = bits.view(np.float32)
        values = values[np.isfinite(values)]
        expected = torch.from_numpy(values).bfloat16()
        np.testing.assert_array_equal(safetensors.to_bfloat16(values).view(np.int16), expected.view(torch.int16).numpy())
        np.testing.assert_array_equal(safetensors.from_bfloat16(safetensors.to_bfloat16(values)), expected.float().numpy())

    def test_values_that_bfloat16_does_not_reach(self) -> None:
        tensors = state()
        tensors["classifier.1.weight"][1, 2] = 3.4e38
        self.assert_refused(self.save(tensors), "classifier.weight: has values that are too large for bfloat16",
                            "--dtype", "bfloat16")

    def test_usage(self) -> None:
        for name in ("int8", "float16"):
            self.assert_refused(self.save(state()), "invalid choice", "--dtype", name, status=2)

    def test_other_tensors_as_bfloat16_are_no_model_file(self) -> None:
        _, tensors = self.convert(state(), "--dtype", "bfloat16")
        header_end = 8 + int.from_bytes(self.output.read_bytes()[:8], "little")
        data = self.output.read_bytes()
        header = json.loads(data[8:header_end])
        for name, kind in (("classifier.weight", "F16"), ("head.weight", "I16")):
            spoiled = json.loads(json.dumps(header))
            spoiled[name]["dtype"] = kind
            path = self.folder / "spoiled"
            text = json.dumps(spoiled).encode()
            path.write_bytes(len(text).to_bytes(8, "little") + text + data[header_end:])
            with self.assertRaisesRegex(model_file.ModelFileError, f"{name}: {kind}, expected BF16"):
                model_file.read_model_file(path)
        metadata, read = model_file.read_model_file(self.output)
        self.assertEqual(set(read), set(tensors))


class AnySource(MeansCase):
    def test_mean_inputs_by_other_code(self) -> None:
        """Networks of every kind, float64 loops of another shape: the numbers of a pass over noise."""
        for seed in range(8):
            network = random_any_network(seed, sides=(32, 33))
            images = network.images()
            seen = recorded(network, images)
            architecture, tensors = described(network)
            found = layer_means.input_means(architecture, tensors, [images[:1], images[1:]])
            self.assertEqual(len(found), len(seen))
            for (name, values), expected in zip(found.items(), seen):
                self.assertLessEqual(np.abs(values - expected).max(), TOLERANCE * np.abs(expected).max(), (seed, name))


def recorded(network: Any, images: np.ndarray) -> list[np.ndarray]:
    """The mean input of each step that is no depthwise convolution, by PyTorch in float64."""
    x, values, seen = torch.from_numpy(images).double(), [], []
    for step in network.steps:
        if step.kind == "dense" or step.kind == "conv" and not step.depthwise:
            seen.append(x.mean((0, 2, 3) if x.ndim == 4 else 0).numpy())
        x = network._run(step, x, values)
        values.append(x)
    return seen


def described(network: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Its architecture and folded tensors, as the ONNX reader's chain has them."""
    from mnv2.convert.fold import to_float32
    from mnv2.convert.graph import Clip, Convolution, Dense, Graph, Norm, Output, Pool, Sum
    from mnv2.convert.source import recognise_graph

    graph, nodes = Graph(side=network.side), []
    node = 0
    for step in network.steps:
        if step.kind == "conv":
            pads = (0, 0, 0, 0) if step.weight.shape[2] == 1 else None if network.same else (1, 1, 1, 1)
            operation: Any = Convolution(step.name, step.weight.astype(np.float64), step.bias, step.stride, pads, step.depthwise)
        elif step.kind == "norm":
            parts = (step.norm[part].astype(np.float64) for part in ("gamma", "beta", "mean", "variance"))
            operation = Norm(step.name, *parts, step.eps)
        elif step.kind == "relu":
            operation = Clip(0.0, step.highest)
        elif step.kind == "dense":
            operation = Dense(step.name, step.weight.astype(np.float64), step.bias)
        else:
            operation = {"add": Sum(), "pool": Pool("pool")}.get(step.kind) or Output(step.kind)
        node = graph.add(operation, *([nodes[step.source]] if step.kind == "add" else []), node)
        nodes.append(node)
    found, _ = recognise_graph(graph)
    return found.architecture, {name: to_float32(name, values) for name, values in found.tensors.items()}


if __name__ == "__main__":
    unittest.main(verbosity=2)

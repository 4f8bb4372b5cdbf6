"""convert() of a whole module: what it observes, what it compares, and what it refuses."""

from __future__ import annotations

import json
import unittest
from functools import partial
from typing import Any
from unittest import mock

from support import converter_networks as nets
from support.converter import (RUN_NETWORK, EngineCase, F, convert_torchvision, forward, conversion, nn, parse_model_file,
                               random_network, randomise, torch)
from torchvision.models import mobilenet_v3_small, resnet18
from torchvision.models.quantization import mobilenet_v2 as quantisable

Wishes = convert_torchvision.PreprocessingWishes


def image(side: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, side, side)


class FunctionalFlat(nets.FlatV2):
    """Activations and padding are calls in forward(), not modules; BatchNorm has an eps of its own."""

    def __init__(self, limit: float) -> None:
        super().__init__(0.25, 5)
        self.limit = limit
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.02
            elif isinstance(module, nn.Conv2d):
                module.padding = (0, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def run(sequence: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
            for module in sequence:
                if isinstance(module, nets.FlatBlock):
                    y = run(module.conv, x)
                    x = torch.add(x, y) if module.residual else y
                elif isinstance(module, nn.ReLU6):
                    x = torch.clamp(x, 0, self.limit) if x.shape[1] % 16 == 0 else F.hardtanh(x, 0, self.limit)
                elif isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                    x = module(F.pad(x, (1, 1, 1, 1)))
                else:
                    x = module(x)
            return x

        return self.classifier(run(self.features, x)[:, :, 0, 0])


class Stray(nn.Module):
    """A network whose `change` no name of a tensor tells of."""

    def __init__(self, change: str, **options: Any) -> None:
        super().__init__()
        self.model = random_network(6, width_mult=0.1, num_classes=3, **options)
        self.change = change

    def forward(self, x: torch.Tensor) -> Any:
        model = self.model
        if self.change == "scaled input":
            return model(2 * x)
        if self.change == "shifted output":
            return model(x) + 0.01
        if self.change == "max pooling":
            return model.classifier(F.adaptive_max_pool2d(model.features(x), 1).flatten(1))
        if self.change == "unused":
            return model.features(x)
        if self.change == "two outputs":
            return model(x), x
        if self.change == "twice":
            return model.classifier(model.features[1:](model.features[0](model.features[0](x)[:, :3])).mean((2, 3)))
        raise AssertionError(self.change)


class Modules(EngineCase):
    def check(self, module: nn.Module, example: torch.Tensor, **options: Any) -> dict[str, Any]:
        """Converts and compares at another size too; returns the architecture."""
        before = {name: value.clone() for name, value in module.state_dict().items()}
        convert_torchvision.convert(module, example, self.output, **options)
        for name, value in module.state_dict().items():
            self.assertTrue(torch.equal(value, before[name]), name)
        metadata, tensors = parse_model_file(self.output)
        module.eval()
        for size in (example.shape[2:], (75, 50)):
            images = torch.randn(2, 3, *size)
            with torch.no_grad():
                expected = module(images)
            expected = (expected.mean((2, 3)) if expected.ndim == 4 else expected).numpy()
            self.compare(forward(metadata, tensors, images), expected, f"folded, {size}")
            if RUN_NETWORK:
                self.compare(self.run_engine(images, expected.shape[1], self.isas()[-1], (1, 2)), expected, f"engine, {size}")
        return json.loads(metadata["architecture"])

    def test_all_layouts(self) -> None:
        torch.manual_seed(1)
        for make in (partial(nets.FlatV2, 0.25, 5), partial(nets.BiasedV2, 0.25, 5), partial(nets.FeaturesV2, 0.3),
                     partial(nets.V1, 0.25, 5), partial(nets.Timm, 2, 0.25, 5), partial(nets.Timm, 1, 0.25, 5)):
            for activation, clamp in ((nn.ReLU6, [0, 6]), (nn.ReLU, [0, None]), (partial(nn.Hardtanh, -1.5, 2), [-1.5, 2])):
                for same in (False, True):
                    with self.subTest(make=make, clamp=clamp, same=same):
                        architecture = self.check(randomise(make(activation=activation, same=same)), image())
                        self.assertEqual(architecture["padding"], "same" if same else "symmetric")
                        self.assertEqual(architecture["blocks"][3]["depthwise"]["clamp"], clamp)

    def test_strides_that_no_table_has(self) -> None:
        rows = ((6, 16, 2, 2), (3, 16, 1, 2), (6, 24, 2, 1))
        for make in (partial(nets.FlatV2, 1.0, 5, rows), partial(nets.FeaturesV2, 1.0, rows)):
            architecture = self.check(randomise(make()), image())
            self.assertEqual([block["depthwise"]["stride"] for block in architecture["blocks"]], [2, 1, 2, 1, 1])

    def test_wrapped_networks(self) -> None:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.backbone = nn.DataParallel(random_network(5, width_mult=0.1, num_classes=4))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.backbone.module(x)

        self.check(Net().double().train().float(), image())

    def test_quantisable_variant(self) -> None:
        torch.manual_seed(2)
        network = randomise(quantisable(weights=None, quantize=False, width_mult=0.25, num_classes=5))
        architecture = self.check(network, image())
        self.assertEqual(architecture["stem"]["clamp"], [0, None])
        self.assertEqual([block["residual"] for block in architecture["blocks"]],
                         [block.use_res_connect for block in network.features[1:-1]])
        # Its state_dict alone does not tell of ReLU.
        observed = parse_model_file(self.output)[1]
        metadata, stated = self.convert(network.state_dict(), "--activation", "relu", "--crop", image().shape[2])
        self.assertEqual(json.loads(metadata["architecture"]), architecture)
        self.assertEqual({name: values.tobytes() for name, values in stated.items()},
                         {name: values.tobytes() for name, values in observed.items()})

    def test_functional_activations_and_padding(self) -> None:
        torch.manual_seed(3)
        architecture = self.check(randomise(FunctionalFlat(4.5)), image())
        self.assertEqual((architecture["stem"]["clamp"], architecture["blocks"][0]["project"]["clamp"]), ([0, 4.5], None))

    def test_networks_without_residuals(self) -> None:
        torch.manual_seed(5)
        network = nets.FlatV2(0.5, 4, ((1, 16, 1, 1), (6, 24, 3, 2)))
        for block in network.features[4:6]:
            block.residual = False
        architecture = self.check(randomise(network), image())
        self.assertEqual([block["residual"] for block in architecture["blocks"]], [block.residual for block in
                                                                                   network.features[3:7]])

    def test_softmax_at_the_end(self) -> None:
        torch.manual_seed(4)
        network = randomise(nets.V1(0.25, 6, softmax=True))
        convert_torchvision.convert(network, image(), self.output)
        network.softmax = False
        images = image()
        with torch.no_grad():
            self.compare(forward(*parse_model_file(self.output), images), network(images).numpy(), "logits")

    def test_what_the_caller_says(self) -> None:
        network = random_network(5, width_mult=0.1, num_classes=3)

        def written(**options: Any) -> dict[str, str]:
            convert_torchvision.convert(network, image(options.pop("side", 64)), self.output, **options)
            return parse_model_file(self.output)[0]

        metadata = written(labels=["a", "b", "c"], source="mine", side=112)
        self.assertEqual((json.loads(metadata["labels"]), metadata["source"]), (["a", "b", "c"], "mine"))
        self.assertEqual(json.loads(metadata["preprocessing"]),
                         {"resize": 128, "crop": 112, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
                          "interpolation": "bilinear"})
        metadata = written(wishes=Wishes(resize=80, crop=72, interpolation="bicubic", mean=(0, 0, 0), std=(1, 1, 1)))
        self.assertEqual(json.loads(metadata["preprocessing"]),
                         {"resize": 80, "crop": 72, "mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bicubic"})
        self.assertEqual(written()["source"], "module MobileNetV2")

    def refused(self, message: str, module: nn.Module, example: Any = None, **options: Any) -> None:
        with self.assertRaises(convert_torchvision.ConversionError) as caught:
            convert_torchvision.convert(module, image() if example is None else example, self.output, **options)
        self.assertIn(message, str(caught.exception))
        self.assertEqual(sorted(self.folder.iterdir()), [])

    def test_refused(self) -> None:
        network = random_network(5, width_mult=0.1, num_classes=3)
        self.refused("example_input: [3, 64, 64], expected a tensor [N, 3, H, W]", network, image()[0])
        self.refused("example_input: int, expected", network, 7)
        self.refused("arch 'x', expected one of torchvision, flat", network, arch="x")
        self.refused("not a flat mobilenet_v2, as --arch flat wants: features.0.weight is missing", network, arch="flat")
        self.refused("2 labels, expected 3", network, labels=["a", "b"])
        self.refused("labels for a network that has no classifier", nets.FeaturesV2(0.1).eval(), labels=["a"])
        self.refused("interpolation 'area', expected one of bilinear, bicubic", network, wishes=Wishes(interpolation="area"))
        self.refused("std (1, 0, 1), expected three finite numbers above 0", network, wishes=Wishes(std=(1, 0, 1)))
        self.refused("crop 5000, expected 1 to 4096", network, wishes=Wishes(crop=5000))
        self.refused("no layout that is known; the checkpoint begins with conv1.weight", resnet18())
        self.refused("not a torchvision mobilenet_v2, the closest of the known layouts: features.1", mobilenet_v3_small())

    def test_other_behaviour_than_the_names_tell(self) -> None:
        self.refused("the converted layers give other outputs than the module: a difference of 0.0", Stray("shifted output"))
        self.refused("classifier.1: its input comes from adaptive_max_pool2d", Stray("max pooling"))
        self.refused("classifier.1: in the state_dict, but the module did not use it", Stray("unused"))
        self.refused("the module gives tuple, expected a tensor", Stray("two outputs"))
        self.refused("features.0.0: used twice", Stray("twice"))
        self.refused("its input comes from hardswish", randomise(nets.FlatV2(0.1, 3, activation=nn.Hardswish)))
        self.refused("features.0: padding (2, 2, 2, 2)", self.spoiled(padding=(2, 2)))
        self.refused("features.0: stride (2, 1), dilation (1, 1), expected one stride", self.spoiled(stride=(2, 1)))
        self.refused("features.0: stride 3, expected 1 or 2", self.spoiled(stride=3))
        self.refused("features.0: its input comes from pad (mode reflect", self.spoiled(padding_mode="reflect"))

    def spoiled(self, **attributes: Any) -> nn.Module:
        """A flat network whose first convolution is another."""
        network = nets.FlatV2(0.1, 3).eval()
        network.features[0] = nn.Conv2d(3, 8, 3, **{"stride": 2, "padding": 1, "bias": False, **attributes})
        return network

    def test_names_and_order_that_tell_nothing(self) -> None:
        """Modules made in another order than they run, a head with a BatchNorm on the features, and a scaled image."""
        class Mixed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                network = random_network(5, width_mult=0.1)
                self.last = nn.Linear(12, 3)
                self.head = nn.Sequential(nn.BatchNorm1d(1280), nn.Linear(1280, 12), nn.ReLU())
                for i, part in reversed(list(enumerate(network.features))):
                    setattr(self, f"p{i}", part)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                x = (x - 0.25) / torch.tensor([0.5, 0.25, 0.2]).reshape(1, 3, 1, 1)
                for i in range(19):
                    x = getattr(self, f"p{i}")(x)
                return torch.sigmoid(self.last(self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))))

        network, images = randomise(Mixed()), torch.rand(2, 3, 64, 64)
        convert_torchvision.convert(network, images, self.output, labels=["a", "b", "c"])
        metadata, tensors = parse_model_file(self.output)
        preprocessing = json.loads(metadata["preprocessing"])
        self.assertEqual((preprocessing["mean"], preprocessing["std"]), ([0.25] * 3, [0.5, 0.25, 0.2]))
        self.assertEqual(json.loads(metadata["architecture"])["output_activation"], "sigmoid")
        normalised = (images - 0.25) / torch.tensor([0.5, 0.25, 0.2]).reshape(1, 3, 1, 1)
        with torch.no_grad():
            expected = network(images).numpy()
        found = torch.sigmoid(torch.from_numpy(forward(metadata, tensors, normalised))).numpy()
        self.assertLess(abs(found - expected).max(), 1e-5)
        self.assertGreater(abs(expected[0] - expected[1]).max(), 1e-4)

    def test_quantised_and_fused(self) -> None:
        network = quantisable(weights=None, quantize=False, width_mult=0.1, num_classes=3).eval()
        network.fuse_model()
        images = image(96)
        with torch.no_grad():
            expected = network(images).numpy()
        convert_torchvision.convert(network, images, self.output)
        self.compare(forward(*parse_model_file(self.output), images), expected, "fused")
        self.compare(forward(*self.convert(network.state_dict(), "--activation", "relu"), images), expected, "fused state_dict")

        trainable = quantisable(weights=None, quantize=False, width_mult=0.1, num_classes=3).train()
        trainable.fuse_model(is_qat=True)
        trainable.qconfig = torch.ao.quantization.get_default_qat_qconfig("fbgemm")
        torch.ao.quantization.prepare_qat(trainable, inplace=True)
        quantised = "a quantised network, or one prepared for it; convert the float network instead"
        for path in self.folder.iterdir():
            path.unlink()
        self.refused(quantised, trainable)
        self.assert_refused(self.save(trainable.state_dict()), quantised)

        network.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
        prepared = torch.ao.quantization.prepare(network)
        prepared(image())
        small = torch.ao.quantization.convert(prepared)
        for path in self.folder.iterdir():
            path.unlink()
        self.refused(quantised, small)
        self.assert_refused(self.save(small.state_dict()), "holds quantised tensors; convert the float network instead")

    def test_the_written_file_is_what_is_compared(self) -> None:
        real = conversion.fold

        def spoiled(*arguments: Any) -> dict[str, Any]:
            folded = real(*arguments)
            folded["blocks.7.depthwise.bias"] = folded["blocks.7.depthwise.bias"] + 0.1
            return folded

        with mock.patch.object(conversion, "fold", spoiled):
            self.refused("the converted layers give other outputs than the module",
                         random_network(5, width_mult=0.1, num_classes=3))


if __name__ == "__main__":
    unittest.main(verbosity=2)

"""What the converter makes of the outputs of a network: softmax, sigmoid or none, and never a wrong probability."""

from __future__ import annotations

import json
import unittest

from support.converter import ConverterCase, convert_torchvision, parse_model_file, random_network, torch
from torch import nn

ONE = random_network(3, width_mult=0.1, num_classes=1)
SEVERAL = random_network(4, width_mult=0.1, num_classes=3)


class Checkpoint(ConverterCase):
    def test_one_output_and_nothing_known(self) -> None:
        path = self.save(ONE.state_dict())
        self.assert_refused(path, "--output-activation sigmoid")
        self.assert_refused(path, "a softmax makes 1 for every image", "--output-activation", "softmax")
        self.assert_refused(path, "invalid choice", "--output-activation", "tanh", status=2)

    def test_sigmoid_over_one_output_is_two_classes(self) -> None:
        names = self.folder / "names.txt"
        for text, labels in (("hot dog\n", ["not hot dog", "hot dog"]), ("a\nb\n", ["a", "b"])):
            names.write_text(text)
            metadata, tensors = self.convert(ONE.state_dict(), "--output-activation", "sigmoid", "--labels", names)
            architecture = json.loads(metadata["architecture"])
            self.assertEqual(architecture["output_activation"], "sigmoid")
            self.assertEqual((architecture["classifier"]["out_channels"], json.loads(metadata["labels"])), (1, labels))
            self.assertEqual(tensors["classifier.weight"].shape[0], 1)
        names.write_text("a\nb\nc\n")
        self.assert_refused(self.save(ONE.state_dict()), "3 labels, expected 2", "--output-activation", "sigmoid", "--labels", names)

    def test_several_outputs(self) -> None:
        for wish, said in (("softmax", None), ("sigmoid", "sigmoid"), ("none", "none")):
            metadata, _ = self.convert(SEVERAL.state_dict(), "--output-activation", wish)
            self.assertEqual(json.loads(metadata["architecture"]).get("output_activation"), said)


class Ended(nn.Module):
    def __init__(self, network: nn.Module, end: nn.Module) -> None:
        super().__init__()
        self.features, self.classifier, self.end = network.features, network.classifier, end

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(self.classifier(self.features(x).mean((2, 3))))


class Module(ConverterCase):
    def convert_module(self, module: nn.Module, **options: object) -> dict:
        convert_torchvision.convert(module, torch.randn(2, 3, 64, 64), self.output, **options)
        return json.loads(parse_model_file(self.output)[0]["architecture"])

    def test_one_output(self) -> None:
        with self.assertRaisesRegex(convert_torchvision.ConversionError, "--output-activation sigmoid"):
            self.convert_module(ONE)
        self.assertEqual(self.convert_module(ONE, output_activation="none")["output_activation"], "none")
        for end in (nn.Sigmoid(), nn.Sequential(nn.Sigmoid(), nn.Flatten(0))):
            self.assertEqual(self.convert_module(Ended(ONE, end), labels=["cat"])["output_activation"], "sigmoid")
        self.assertEqual(json.loads(parse_model_file(self.output)[0]["labels"]), ["not cat", "cat"])

    def test_what_the_module_ends_in_is_seen(self) -> None:
        for end, expected in ((nn.Softmax(1), None), (nn.Sigmoid(), "sigmoid"), (nn.Identity(), None)):
            self.assertEqual(self.convert_module(Ended(SEVERAL, end)).get("output_activation"), expected)


if __name__ == "__main__":
    unittest.main(verbosity=2)

"""Detectors whose features are a MobileNet's: refused, with the reason."""

from __future__ import annotations

import io
import unittest
from functools import partial

from support.convert import ConvertCase
from support.converter import convert_torchvision, nn, torch
from torchvision.models import mobilenet_v2
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn, ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead

try:
    import onnx
except ImportError:
    onnx = None

BOXES = "a part of a detector, which gives boxes and not one answer for each image"


class Features(nn.Module):
    """Two maps of MobileNetV2, as SSDLite takes them."""

    def __init__(self) -> None:
        super().__init__()
        features = mobilenet_v2(width_mult=0.25).features
        self.first, self.second = features[:14], features[14:]

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        map_ = self.first(x)
        return {"0": map_, "1": self.second(map_)}


class Raw(nn.Module):
    """What people export of an SSD: boxes and scores, without what chooses among them."""

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.head(list(self.features(x).values()))
        return found["bbox_regression"], found["cls_logits"]


def ssd() -> SSD:
    features = Features().eval()
    with torch.no_grad():
        channels = [map_.shape[1] for map_ in features(torch.zeros(1, 3, 320, 320)).values()]
    anchors = DefaultBoxGenerator([[2, 3], [2, 3]])
    head = SSDLiteHead(channels, anchors.num_anchors_per_location(), 91, partial(nn.BatchNorm2d, eps=1e-3))
    return SSD(features, anchors, (320, 320), 91, head=head).eval()


class Detectors(ConvertCase):
    def test_state_dicts(self) -> None:
        for network in (ssd(), ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5),
                        fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=5)):
            path = self.save(network.state_dict())
            self.assertIn(f"{path}: ", self.refused(path, BOXES))
            self.assert_refused(path, BOXES)

    def test_module(self) -> None:
        network = ssd()
        for module in (network, Raw(network.backbone, network.head)):
            with self.assertRaisesRegex(convert_torchvision.ConversionError, "a detector|by its structure"):
                convert_torchvision.convert(module, torch.zeros(1, 3, 320, 320), self.output)
            self.assertFalse(self.output.exists())

    @unittest.skipIf(onnx is None, "SKIPPED: no onnx (Debian: python3-onnx)")
    def test_onnx(self) -> None:
        network, exported = ssd(), io.BytesIO()
        torch.onnx.export(Raw(network.backbone, network.head), torch.zeros(1, 3, 320, 320), exported, opset_version=11)
        path = self.folder / "ssd.onnx"
        path.write_bytes(exported.getvalue())
        self.assertIn(f"{path}: ", self.refused(path, "1 inputs and 2 outputs, expected one image and the classes"))


if __name__ == "__main__":
    unittest.main(verbosity=2)

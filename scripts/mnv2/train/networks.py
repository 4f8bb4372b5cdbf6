"""The networks that train.py trains, with the initial weights of their papers' implementations."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn
from torchvision.models import MobileNetV2

from mnv2.convert.checkpoint import CheckpointError, load_checkpoint


class SeparableBlock(nn.Module):
    """MobileNetV1's block (Howard et al. 2017, Table 1): 3x3 depthwise, then 1x1, each with BatchNorm and ReLU6."""

    def __init__(self, in_c: int, out_c: int, stride: int):
        super().__init__()
        self.depthwise = nn.Sequential(nn.Conv2d(in_c, in_c, 3, stride, 1, groups=in_c), nn.BatchNorm2d(in_c),
                                       nn.ReLU6(inplace=True))
        self.pointwise = nn.Sequential(nn.Conv2d(in_c, out_c, 1), nn.BatchNorm2d(out_c), nn.ReLU6(inplace=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.depthwise(x))


class MobileNetV1(nn.Module):
    """Howard et al. 2017 (arXiv 1704.04861), Table 1. `width` is the multiplier alpha."""

    # (output channels, stride) of the separable blocks
    BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]

    def __init__(self, num_classes: int, width: float = 1.0, dropout: float = 0.2):
        super().__init__()
        channels = int(32 * width)
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 2, 1), nn.BatchNorm2d(channels), nn.ReLU6(inplace=True)]
        for out_c, stride in self.BLOCKS:
            layers.append(SeparableBlock(channels, int(out_c * width), stride))
            channels = int(out_c * width)
        self.bottleneck = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.bottleneck(x).mean([2, 3]))


def initialise(network: nn.Module) -> None:
    """He et al.'s normal distribution over the outputs for convolutions, N(0, 0.01) for the classifier, zero biases,
    BatchNorm at 1 and 0: torchvision's, which follows the original implementations."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def make_network(arch: str, num_classes: int, width: float, dropout: float) -> nn.Module:
    if arch == "mobilenet_v2":
        network = MobileNetV2(num_classes=num_classes, width_mult=width, dropout=dropout)
    else:
        network = MobileNetV1(num_classes, width, dropout)
    initialise(network)
    return network


def load_features(network: nn.Module, path: Path) -> int:
    """Takes all weights but the classifier's from a state_dict, or what train.py wrote. Returns how many tensors.

    Raises CheckpointError when the features do not fit, OSError.
    """
    state = load_checkpoint(path).tensors
    own = network.state_dict()
    for name, tensor in own.items():
        if name.startswith("classifier."):
            continue
        if name not in state:
            raise CheckpointError(f"{path}: no tensor {name}: another network than the one asked for")
        if state[name].shape != tuple(tensor.shape):
            raise CheckpointError(f"{path}: {name} is {list(state[name].shape)}, expected {list(tensor.shape)}: "
                                  "another width?")
    taken = {name: torch.from_numpy(values) for name, values in state.items()
             if name in own and values.shape == tuple(own[name].shape)}
    network.load_state_dict({**own, **taken})
    return len(taken)


def features_of(network: nn.Module) -> nn.Module:
    """All but the classifier."""
    return network.features if hasattr(network, "features") else network.bottleneck

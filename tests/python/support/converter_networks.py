"""MobileNets as their authors write them, so that the names of their tensors are those of real checkpoints.

The names and numbers are those of the published networks; the code is not theirs. Every network takes
`activation` and `same` (TensorFlow's SAME padding, by an explicit F.pad), because people's variants differ there.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

from support.converter import F, nn, pad_same, torch  # ends with 77 where torch is missing

Rows = Sequence[Sequence[float]]  # (t, c, n, s)
Activation = Callable[[], nn.Module]
V2_ROWS: Rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
V1_BLOCKS: Sequence[tuple[int, int]] = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1),
                                        (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1))
TIMM_V1_ROWS: Rows = ((1, 64, 1, 1), (1, 128, 2, 2), (1, 256, 2, 2), (1, 512, 6, 2), (1, 1024, 2, 2))


def divisible(value: float, divisor: int = 8) -> int:
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest


class Conv(nn.Conv2d):
    """A convolution that pads by (kernel - 1) / 2, or as TensorFlow's SAME."""

    def __init__(self, in_c: int, out_c: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = False,
                 same: bool = False) -> None:
        super().__init__(in_c, out_c, kernel, stride, 0 if same else (kernel - 1) // 2, groups=groups, bias=bias)
        self.same = same

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(pad_same(x, self.kernel_size[0], self.stride[0]) if self.same else x)


class FlatBlock(nn.Module):
    """An inverted residual whose layers are one sequence; `always` expands even by 1."""

    def __init__(self, in_c: int, out_c: int, stride: int, t: float, always: bool, activation: Activation, same: bool) -> None:
        super().__init__()
        hidden = round(in_c * t)
        layers: list[nn.Module] = []
        if t != 1 or always:
            layers += [Conv(in_c, hidden, 1), nn.BatchNorm2d(hidden), activation()]
        self.conv = nn.Sequential(
            *layers, Conv(hidden, hidden, 3, stride, hidden, same=same), nn.BatchNorm2d(hidden), activation(),
            Conv(hidden, out_c, 1), nn.BatchNorm2d(out_c))
        self.residual = stride == 1 and in_c == out_c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def flat_blocks(stem: int, rows: Rows, scale: Callable[[float], int], always: bool, activation: Activation,
                same: bool) -> tuple[list[nn.Module], int]:
    """The blocks and their last channels."""
    blocks: list[nn.Module] = []
    channels = stem
    for t, c, n, s in rows:
        for index in range(int(n)):
            blocks.append(FlatBlock(channels, scale(c), int(s) if index == 0 else 1, t, always, activation, same))
            channels = scale(c)
    return blocks, channels


class FlatV2(nn.Module):
    """MobileNetV2 as one flat sequence."""

    def __init__(self, width: float = 1.0, classes: int = 1000, rows: Rows = V2_ROWS, activation: Activation = nn.ReLU6,
                 same: bool = False) -> None:
        super().__init__()
        stem, last = divisible(32 * width), divisible(1280 * max(1.0, width))
        blocks, channels = flat_blocks(stem, rows, lambda c: divisible(c * width), False, activation, same)
        self.features = nn.Sequential(Conv(3, stem, 3, 2, same=same), nn.BatchNorm2d(stem), activation(), *blocks,
                                      Conv(channels, last, 1), nn.BatchNorm2d(last), activation(), nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).flatten(1))


class BiasedBlock(nn.Module):
    def __init__(self, in_c: int, out_c: int, stride: int, t: float, act: Activation, same: bool) -> None:
        super().__init__()
        hidden = round(in_c * t)
        self.conv_1 = Conv(in_c, hidden, 1, bias=True)
        self.bn_1 = nn.BatchNorm2d(hidden)
        self.conv_2_dw = Conv(hidden, hidden, 3, stride, hidden, bias=True, same=same)
        self.bn_2 = nn.BatchNorm2d(hidden)
        self.conv_2_pw = Conv(hidden, out_c, 1, bias=True)
        self.bn_3 = nn.BatchNorm2d(out_c)
        self.act = act()
        self.residual = stride == 1 and in_c == out_c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.act(self.bn_1(self.conv_1(x)))
        y = self.bn_3(self.conv_2_pw(self.act(self.bn_2(self.conv_2_dw(y)))))
        return y + x if self.residual else y


class BiasedV2(nn.Module):
    """Every convolution has a bias, the classifier is one too, and the first and last have no BatchNorm."""

    def __init__(self, width: float = 1.0, classes: int = 1000, rows: Rows = V2_ROWS[:-1], activation: Activation = nn.ReLU6,
                 same: bool = False) -> None:
        super().__init__()
        channels = divisible(32 * width)
        self.layer_1_conv = Conv(3, channels, 3, 2, bias=True, same=same)
        for number, (t, c, n, s) in enumerate(rows, 2):
            blocks = []
            for index in range(int(n)):
                blocks.append(BiasedBlock(channels, divisible(c * width), int(s) if index == 0 else 1, t, activation, same))
                channels = divisible(c * width)
            self.add_module(f"layer_{number}_bottleneck", blocks[0] if number == 2 else nn.Sequential(*blocks))
        last = divisible(1280 * max(1.0, width))
        self.layer_8_conv = Conv(channels, last, 1, bias=True)
        self.layer_10_conv = Conv(last, classes, 1, bias=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer_1_conv(x)
        for number in range(2, 8):
            x = getattr(self, f"layer_{number}_bottleneck")(x)
        return self.layer_10_conv(F.adaptive_avg_pool2d(self.layer_8_conv(x), 1)).flatten(1)


class FeaturesV2(nn.Module):
    """Channels without rounding, and nothing after the last convolution."""

    def __init__(self, width: float = 1.0, rows: Rows = V2_ROWS, activation: Activation = nn.ReLU6, same: bool = False) -> None:
        super().__init__()
        stem, last = int(32 * width), int(1280 * width) if width > 1 else 1280
        blocks, channels = flat_blocks(stem, rows, lambda c: int(c * width), True, activation, same)
        self.first_layer = nn.Sequential(Conv(3, stem, 3, 2, same=same), nn.BatchNorm2d(stem), activation())
        self.layers = nn.Sequential(*blocks)
        self.last_layer = nn.Sequential(Conv(channels, last, 1), nn.BatchNorm2d(last), activation())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last_layer(self.layers(self.first_layer(x)))


class SeparableBlock(nn.Module):
    def __init__(self, in_c: int, out_c: int, stride: int, act: Activation, same: bool) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(Conv(in_c, in_c, 3, stride, in_c, True, same), nn.BatchNorm2d(in_c), act())
        self.pointwise = nn.Sequential(Conv(in_c, out_c, 1, bias=True), nn.BatchNorm2d(out_c), act())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pointwise(self.depthwise(x))


class V1(nn.Module):
    """MobileNetV1; `softmax` ends it as the original does."""

    def __init__(self, width: float = 1.0, classes: int = 1000, blocks: Sequence[tuple[int, int]] = V1_BLOCKS,
                 activation: Activation = nn.ReLU6, same: bool = False, softmax: bool = False) -> None:
        super().__init__()
        channels = int(32 * width)
        layers: list[nn.Module] = [Conv(3, channels, 3, 2, bias=True, same=same), nn.BatchNorm2d(channels), activation()]
        for c, stride in blocks:
            layers.append(SeparableBlock(channels, int(c * width), stride, activation, same))
            channels = int(c * width)
        self.bottleneck = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(channels, classes))
        self.softmax = softmax

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bottleneck(x)
        logits = self.classifier(F.avg_pool2d(x, x.shape[2:]).flatten(1))
        return logits.softmax(1) if self.softmax else logits


class TimmNorm(nn.BatchNorm2d):
    """BatchNorm and an activation in one module, as timm has it."""

    def __init__(self, channels: int, act: Optional[nn.Module]) -> None:
        super().__init__(channels)
        self.drop = nn.Identity()
        self.act = act or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(super().forward(x)))


class TimmBlock(nn.Module):
    """timm's "ir", "ds" (`t` None, linear at the end) and "dsa" (activated at the end, never a skip)."""

    def __init__(self, in_c: int, out_c: int, stride: int, t: Optional[float], activated: bool, act: Activation,
                 same: bool) -> None:
        super().__init__()
        hidden = in_c if t is None else divisible(in_c * t)
        self.skip = stride == 1 and in_c == out_c and not activated
        self.expands = t is not None
        if self.expands:
            self.conv_pw = Conv(in_c, hidden, 1)
            self.bn1 = TimmNorm(hidden, act())
            self.conv_dw = Conv(hidden, hidden, 3, stride, hidden, same=same)
            self.bn2 = TimmNorm(hidden, act())
            self.conv_pwl = Conv(hidden, out_c, 1)
            self.bn3 = TimmNorm(out_c, None)
        else:
            self.conv_dw = Conv(in_c, in_c, 3, stride, in_c, same=same)
            self.bn1 = TimmNorm(in_c, act())
            self.conv_pw = Conv(in_c, out_c, 1)
            self.bn2 = TimmNorm(out_c, act() if activated else None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.expands:
            y = self.bn3(self.conv_pwl(self.bn2(self.conv_dw(self.bn1(self.conv_pw(x))))))
        else:
            y = self.bn2(self.conv_pw(self.bn1(self.conv_dw(x))))
        return y + x if self.skip else y


class Timm(nn.Module):
    """timm's mobilenetv2 (rows with t > 1) and mobilenetv1; `fixed` keeps the stem and the head at width 1."""

    def __init__(self, version: int, width: float = 1.0, classes: int = 1000, rows: Optional[Rows] = None,
                 fixed: bool = False, head: Optional[int] = None, activation: Activation = nn.ReLU6, same: bool = False) -> None:
        super().__init__()
        channels = 32 if fixed else divisible(32 * width)
        self.conv_stem = Conv(3, channels, 3, 2, same=same)
        self.bn1 = TimmNorm(channels, activation())
        stages = []
        for t, c, n, s in rows or (V2_ROWS if version == 2 else TIMM_V1_ROWS):
            blocks = []
            for index in range(int(n)):
                blocks.append(TimmBlock(channels, divisible(c * width), int(s) if index == 0 else 1,
                                        t if t != 1 else None, version == 1, activation, same))
                channels = divisible(c * width)
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        features = head if version == 1 else 1280 if fixed else divisible(1280 * max(1.0, width))
        if features:
            self.conv_head = Conv(channels, features, 1)
            self.bn2 = TimmNorm(features, activation())
        else:
            self.conv_head = self.bn2 = nn.Identity()
        self.classifier = nn.Linear(features or channels, classes) if classes else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn2(self.conv_head(self.blocks(self.bn1(self.conv_stem(x)))))
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Embedding(nn.Module):
    """The pooled output of a network of features, which is what the program gives."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> Any:
        return self.network(x).mean((2, 3))

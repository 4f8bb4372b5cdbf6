"""Random MobileNets as lists of steps, which PyTorch runs and which each writer of a file format writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from support.converter import F, np, pad_same, torch

V2_ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
V1_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (1024, 2), (1024, 1))


@dataclass
class Step:
    """`kind`: conv, norm, relu (with `highest`), add (`source`: the step whose value is added), pool, dense, softmax, sigmoid."""

    kind: str
    name: str = ""
    weight: Optional[np.ndarray] = None  # OIHW, depthwise C1HW, dense [out, in]
    bias: Optional[np.ndarray] = None
    stride: int = 1
    depthwise: bool = False
    norm: dict[str, np.ndarray] = field(default_factory=dict)  # gamma, beta, mean, variance
    eps: float = 1e-3
    highest: Optional[float] = None
    source: int = 0  # index of the step after which the value was that


@dataclass
class AnyNetwork:
    side: int  # pixels
    same: bool  # TensorFlow's padding
    steps: list[Step] = field(default_factory=list)

    def run(self, images: np.ndarray) -> np.ndarray:
        """Outputs before softmax or sigmoid, by PyTorch in float64."""
        x, values = torch.from_numpy(images).double(), []
        for step in self.steps:
            x = self._run(step, x, values)
            values.append(x)
        return x.numpy()

    def _run(self, step: Step, x: torch.Tensor, values: list[torch.Tensor]) -> torch.Tensor:
        tensor = lambda array: None if array is None else torch.from_numpy(np.asarray(array, np.float64))  # noqa: E731
        if step.kind == "conv":
            kernel = step.weight.shape[2]
            if kernel > 1:
                x = pad_same(x, kernel, step.stride) if self.same else F.pad(x, [kernel // 2] * 4)
            return F.conv2d(x, tensor(step.weight), tensor(step.bias), step.stride, groups=len(step.weight) if step.depthwise else 1)
        if step.kind == "norm":
            parts = [tensor(step.norm[part]) for part in ("mean", "variance", "gamma", "beta")]
            return F.batch_norm(x, *parts, eps=step.eps)
        if step.kind == "relu":
            return x.clamp(0, step.highest)
        if step.kind == "add":
            return x + values[step.source]
        if step.kind == "pool":
            return x.mean((2, 3))
        if step.kind == "dense":
            return F.linear(x, tensor(step.weight), tensor(step.bias))
        return x  # softmax or sigmoid

    def images(self, seed: int = 1) -> np.ndarray:
        return np.random.default_rng(seed).normal(0, 1, (2, 3, self.side, self.side)).astype(np.float32)


class Maker:
    """Adds layers with random weights, float32, such that values stay near 1."""

    def __init__(self, rng: np.random.Generator, side: int, same: bool, eps: float = 1e-3) -> None:
        self.rng, self.network, self.eps = rng, AnyNetwork(side, same), eps
        self.channels = 3

    def add(self, **step: Any) -> int:
        self.network.steps.append(Step(**step))
        return len(self.network.steps) - 1

    def normal(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return (self.rng.normal(0, scale, shape)).astype(np.float32)

    def conv(self, name: str, out_c: int, kernel: int, stride: int = 1, depthwise: bool = False, bias: bool = False) -> None:
        shape = (out_c, 1 if depthwise else self.channels, kernel, kernel)
        fan = np.prod(shape[1:])
        self.add(kind="conv", name=name, weight=self.normal(*shape, scale=(2 / fan) ** 0.5), stride=stride,
                 depthwise=depthwise, bias=self.normal(out_c, scale=0.2) if bias else None)
        self.channels = out_c

    def norm(self, name: str) -> None:
        c, rng = self.channels, self.rng
        values = {"gamma": rng.uniform(0.7, 1.3, c), "beta": rng.normal(0.3, 0.3, c), "mean": rng.normal(0, 0.3, c),
                  "variance": rng.uniform(0.5, 1.5, c)}
        self.add(kind="norm", name=name, eps=self.eps, norm={key: value.astype(np.float32) for key, value in values.items()})

    def layer(self, name: str, out_c: int, kernel: int, highest: Optional[float] = 6.0, stride: int = 1, depthwise: bool = False,
              norm: bool = True, active: bool = True) -> int:
        """A convolution, its BatchNorm (or a bias) and activation; the index of the last step."""
        self.conv(name, out_c, kernel, stride, depthwise, bias=not norm)
        if norm:
            self.norm(f"{name}_BN")
        if active:
            self.add(kind="relu", name=f"{name}_relu", highest=highest)
        return len(self.network.steps) - 1

    def dense(self, name: str, out_c: int, bias: bool = True) -> None:
        self.add(kind="dense", name=name, weight=self.normal(out_c, self.channels, scale=(2 / self.channels) ** 0.5),
                 bias=self.normal(out_c, scale=0.5) if bias else None)
        self.channels = out_c


def random_any_network(seed: int, **options: Any) -> AnyNetwork:
    """MobileNetV2 (even seeds) or V1 of random widths, depths, heads and sizes, whose outputs depend on the image."""
    for attempt in range(20):
        network = _random_network(seed + 1000 * attempt, **options)
        outputs = network.run(network.images())
        if np.abs(outputs[0] - outputs[1]).max() > 1e-2 * np.abs(outputs).max():
            return network
    raise AssertionError(f"seed {seed}: no network that looks at its image")


def _random_network(seed: int, same: Optional[bool] = None, norm: Optional[bool] = None, eps: float = 1e-3,
                       sides: tuple[int, ...] = (32, 48, 64, 80, 96)) -> AnyNetwork:
    rng = np.random.default_rng(seed)
    pick = lambda *values: values[int(rng.integers(len(values)))]  # noqa: E731
    same = bool(rng.integers(2)) if same is None else same
    norm = bool(rng.integers(4)) if norm is None else norm
    maker = Maker(rng, pick(*sides), same, eps)
    width, highest = pick(0.15, 0.25, 0.35, 0.5), pick(6.0, 6.0, 6.0, None)
    scaled = lambda c: max(4, int(c * width))  # noqa: E731
    common = {"highest": highest, "norm": norm}
    last = maker.layer("Conv1", scaled(32), 3, stride=2, **common)
    if seed % 2 == 0:
        rows = V2_ROWS[:int(rng.integers(3, 8))]
        number = 0
        for t, c, n, s in rows:
            for i in range(int(rng.integers(1, n + 1))):
                source, in_c, stride = last, maker.channels, s if i == 0 else 1
                name = f"block_{number}" if number else "expanded_conv"
                if t != 1:
                    maker.layer(f"{name}_expand", in_c * t, 1, **common)
                maker.layer(f"{name}_depthwise", maker.channels, 3, stride=stride, depthwise=True, **common)
                last = maker.layer(f"{name}_project", scaled(c), 1, active=False, **common)
                if stride == 1 and in_c == maker.channels:
                    last = maker.add(kind="add", name=f"{name}_add", source=source)
                number += 1
        maker.layer("Conv_1", pick(64, 96, 130), 1, **common)
    else:
        for number, (c, s) in enumerate(V1_BLOCKS[:int(rng.integers(4, 10))], 1):
            maker.layer(f"conv_dw_{number}", maker.channels, 3, stride=s, depthwise=True, **common)
            maker.layer(f"conv_pw_{number}", scaled(c), 1, **common)
    maker.add(kind="pool", name="global_average_pooling2d")
    for number in range(int(rng.integers(0, 3))):
        maker.dense(f"dense_{number}", int(rng.integers(5, 40)), bias=bool(rng.integers(3)))
        if rng.integers(5):
            maker.add(kind="relu", name=f"dense_{number}_relu", highest=pick(None, None, 6.0))
    classes = int(rng.integers(1, 12))
    maker.dense("predictions", classes, bias=bool(rng.integers(3)))
    maker.add(kind="sigmoid" if classes == 1 else pick("softmax", "softmax", "sigmoid"), name="output")
    return maker.network


def classic_network(version: int, seed: int, width: float = 0.25, side: int = 64, classes: int = 4, same: bool = True) -> AnyNetwork:
    """The published table of blocks, one dense layer."""
    maker = Maker(np.random.default_rng(seed), side, same)
    scaled = lambda c: max(8, int(c * width) // 8 * 8)  # noqa: E731
    last = maker.layer("Conv1", scaled(32), 3, stride=2)
    if version == 2:
        number = 0
        for t, c, n, s in V2_ROWS:
            for i in range(n):
                source, in_c, stride = last, maker.channels, s if i == 0 else 1
                name = f"block_{number}" if number else "expanded_conv"
                if t != 1:
                    maker.layer(f"{name}_expand", in_c * t, 1)
                maker.layer(f"{name}_depthwise", maker.channels, 3, stride=stride, depthwise=True)
                last = maker.layer(f"{name}_project", scaled(c), 1, active=False)
                if stride == 1 and in_c == maker.channels:
                    last = maker.add(kind="add", name=f"{name}_add", source=source)
                number += 1
        maker.layer("Conv_1", 160, 1)
    else:
        strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
        channels = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
        for number, (c, s) in enumerate(zip(channels, strides), 1):
            maker.layer(f"conv_dw_{number}", maker.channels, 3, stride=s, depthwise=True)
            maker.layer(f"conv_pw_{number}", scaled(c), 1)
    maker.add(kind="pool", name="global_average_pooling2d")
    maker.dense("predictions", classes)
    maker.add(kind="softmax", name="output")
    return maker.network


def teachable_network(seed: int, classes: int = 3) -> AnyNetwork:
    """The network that Teachable Machine trains."""
    maker = Maker(np.random.default_rng(seed), 224, True)
    last = maker.layer("Conv1", 16, 3, stride=2)
    for number, (t, c, s) in enumerate((t, c, s if i == 0 else 1) for t, channels, n, s in V2_ROWS for i in range(n)
                                       for c in [{16: 8, 24: 8, 32: 16, 64: 24, 96: 32, 160: 56, 320: 112}[channels]]):
        source, in_c = last, maker.channels
        name = f"block_{number}" if number else "expanded_conv"
        if t != 1:
            maker.layer(f"{name}_expand", in_c * t, 1)
        maker.layer(f"{name}_depthwise", maker.channels, 3, stride=s, depthwise=True)
        last = maker.layer(f"{name}_project", c, 1, active=False)
        if s == 1 and in_c == c:
            last = maker.add(kind="add", name=f"{name}_add", source=source)
    maker.layer("Conv_1", 1280, 1)
    maker.add(kind="pool", name="global_average_pooling2d")
    maker.dense("dense_Dense1", 100)
    maker.add(kind="relu", name="dense_Dense1_relu", highest=None)
    maker.dense("dense_Dense2", classes, bias=False)
    maker.add(kind="softmax", name="output")
    return maker.network

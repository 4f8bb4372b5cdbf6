"""The mean input of every layer: one pass of the network in float32, with numpy alone.

Maps are [C, N, H, W] here, so that a pointwise layer is one product over the pixels of all images.
"""

from __future__ import annotations

from typing import Iterable, Optional

import numpy as np

from mnv2.convert.architecture import Architecture, Clamp, Layer

PIXELS_AT_ONCE = 4096  # columns of a product: they and their sums stay in a core's cache
DEPTHWISE_AT_ONCE = 1 << 14  # values of a depthwise layer's output, for the same reason


def has_mean(layer: Layer) -> bool:
    """Depthwise layers stay in float at every precision, so that nothing is corrected by their means."""
    return layer.kind != "depthwise"


def input_means(architecture: Architecture, tensors: dict[str, np.ndarray],
                batches: Iterable[np.ndarray]) -> Optional[dict[str, np.ndarray]]:
    """`<layer>.input_mean`, float32 [in_c], of every layer but the depthwise ones: over all positions and images.

    `batches` are normalised images, float32 [N, 3, H, W]; at least one. None when the network's values grow beyond float32.
    """
    sums: dict[str, np.ndarray] = {}
    images = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for batch in batches:
            _Pass(architecture, tensors, sums).run(batch)
            images += len(batch)
        means = {f"{name}.input_mean": (total / images).astype(np.float32) for name, total in sums.items()}
    return means if all(np.isfinite(mean).all() for mean in means.values()) else None


class _Pass:
    """One batch through the network; adds each layer's mean input of every image to `sums`."""

    def __init__(self, architecture: Architecture, tensors: dict[str, np.ndarray], sums: dict[str, np.ndarray]) -> None:
        self.architecture, self.tensors, self.sums = architecture, tensors, sums
        self.same = architecture.padding == "same"

    def run(self, images: np.ndarray) -> None:
        network = self.architecture
        x = self._layer("stem", network.stem, np.ascontiguousarray(images.transpose(1, 0, 2, 3)))
        for i, block in enumerate(network.blocks):
            y = x if block.expand is None else self._layer(f"blocks.{i}.expand", block.expand, x)
            y = self._layer(f"blocks.{i}.depthwise", block.depthwise, y)
            y = self._layer(f"blocks.{i}.project", block.project, y)
            x = x + y if block.residual else y
        if network.head is not None:
            x = self._layer("head", network.head, x)
        x = x.mean((2, 3), keepdims=True)
        for name, layer in network.classifier_layers():
            x = self._layer(name, layer, x)

    def _layer(self, name: str, layer: Layer, x: np.ndarray) -> np.ndarray:
        if has_mean(layer):
            # Float32 over a row of a map, float64 over rows and images.
            total = x.mean(3).mean(2, dtype=np.float64).sum(1)
            self.sums[name] = self.sums.get(name, 0) + total
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        if layer.kind == "depthwise":
            y = _depthwise(self._pad(layer, x), weight.reshape(-1, 9), layer.stride)
        elif layer.kernel == 3:
            y = _pointwise(_windows(self._pad(layer, x), layer.stride), weight.reshape(layer.out_channels, -1))
        else:
            y = _pointwise(x, weight.reshape(layer.out_channels, -1))
        y += bias.reshape(-1, 1, 1, 1)
        return _clamp(y, layer.clamp)

    def _pad(self, layer: Layer, x: np.ndarray) -> np.ndarray:
        """Zeros around each map; "same" puts them at the end alone where the stride is 2 and the side even."""
        top, left = (0 if self.same and layer.stride == 2 and side % 2 == 0 else 1 for side in x.shape[2:])
        padded = np.zeros((*x.shape[:2], x.shape[2] + top + 1, x.shape[3] + left + 1), np.float32)
        padded[:, :, top:top + x.shape[2], left:left + x.shape[3]] = x
        return padded


def _clamp(x: np.ndarray, clamp: Clamp) -> np.ndarray:
    if clamp is not None:
        np.maximum(x, np.float32(clamp[0]), out=x)
        if clamp[1] is not None:
            np.minimum(x, np.float32(clamp[1]), out=x)
    return x


def _pointwise(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`x` [in, N, H, W] by `weight` [out, in]."""
    pixels = x.reshape(len(x), -1)
    result = np.empty((len(weight), pixels.shape[1]), np.float32)
    for first in range(0, pixels.shape[1], PIXELS_AT_ONCE):
        # einsum and not @: a distribution's plain BLAS is five times slower, and which one there is changes no bit so.
        np.einsum("ok,kn->on", weight, pixels[:, first:first + PIXELS_AT_ONCE], out=result[:, first:first + PIXELS_AT_ONCE])
    return result.reshape(len(weight), *x.shape[1:])


def _seen(padded: np.ndarray, tap: int, stride: int) -> np.ndarray:
    """What the 3x3 filter's element `tap` sees at each place of the output."""
    row, column = divmod(tap, 3)
    return padded[:, :, row:padded.shape[2] - 2 + row:stride, column:padded.shape[3] - 2 + column:stride]


def _windows(padded: np.ndarray, stride: int) -> np.ndarray:
    """The 3x3 windows as channels, [9 C, N, H, W], in the order of a filter's weights."""
    taps = np.stack([_seen(padded, tap, stride) for tap in range(9)], axis=1)
    return taps.reshape(-1, *taps.shape[2:])


def _depthwise(padded: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """`padded` [C, N, H + 2, W + 2] by `weight` [C, 9]."""
    result = np.empty((len(padded), *_seen(padded[:1], 0, stride).shape[1:]), np.float32)
    channels = max(1, DEPTHWISE_AT_ONCE // max(1, result[0].size))
    for first in range(0, len(padded), channels):
        part, out = padded[first:first + channels], result[first:first + channels]
        factors = weight[first:first + channels].reshape(-1, 9, 1, 1, 1)
        product = np.empty_like(out)
        np.multiply(_seen(part, 0, stride), factors[:, 0], out=out)
        for tap in range(1, 9):
            np.multiply(_seen(part, tap, stride), factors[:, tap], out=product)
            out += product
    return result

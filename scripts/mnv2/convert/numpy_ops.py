"""Convolutions in float64 with numpy alone, for checks: plain, and fast enough for a picture or two."""

from __future__ import annotations

import numpy as np

Pads = tuple[int, int, int, int]  # left, right, top, bottom


def same_pads(height: int, width: int, kernel: tuple[int, int], stride: int) -> Pads:
    """TensorFlow's SAME: as much as the last window needs, the odd one at the end (right, bottom)."""
    around = []
    for size, k in ((width, kernel[1]), (height, kernel[0])):
        total = max((-(-size // stride) - 1) * stride + k - size, 0)
        around += [total // 2, total - total // 2]
    return (around[0], around[1], around[2], around[3])


def pad(x: np.ndarray, pads: Pads) -> np.ndarray:
    """`x` [N, C, H, W] with zeros around each map."""
    left, right, top, bottom = pads
    return x if not any(pads) else np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))


def convolve(x: np.ndarray, weight: np.ndarray, stride: int, depthwise: bool) -> np.ndarray:
    """`x` [N, C, H, W] by `weight` [out, C, kh, kw], or with `depthwise` [C, 1, kh, kw]; no padding, no bias."""
    kernel_h, kernel_w = weight.shape[2:]
    out_h, out_w = (x.shape[2] - kernel_h) // stride + 1, (x.shape[3] - kernel_w) // stride + 1
    result = np.zeros((x.shape[0], weight.shape[0], out_h, out_w))
    for i in range(kernel_h):
        for j in range(kernel_w):
            seen = x[:, :, i:i + (out_h - 1) * stride + 1:stride, j:j + (out_w - 1) * stride + 1:stride]
            if depthwise:
                result += seen * weight[:, 0, i, j].reshape(-1, 1, 1)
            else:
                product = weight[:, :, i, j] @ seen.reshape(*seen.shape[:2], -1)
                result += product.reshape(result.shape)
    return result

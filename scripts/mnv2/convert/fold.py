"""Folds BatchNorm into the layer before it, in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping, Union

import numpy as np

from mnv2.convert.architecture import Architecture, ConversionError, Layer
from mnv2.convert.layouts import Origin, Recognised


class FoldError(ConversionError):
    """Weights that no network can run with; names the tensor."""


def fold(tensors: Mapping[str, np.ndarray], recognised: Recognised) -> dict[str, np.ndarray]:
    """The tensors of the model file, float32, in order of execution.

    y = (conv(x) - mean) / sqrt(var + eps) * gamma + beta is one convolution with weight * scale and a bias.
    Raises FoldError for a value that is not finite, before or after, and for a negative variance.
    """
    folded: dict[str, np.ndarray] = {}
    for name, layer in recognised.architecture.layers():
        weight, bias = _fold_layer(tensors, recognised.origins[name])
        weight = weight.reshape(layer.weight_shape())  # a linear layer may have been a 1x1 convolution
        for part, values in (("weight", weight), ("bias", bias)):
            folded[f"{name}.{part}"] = to_float32(f"{name}.{part} with BatchNorm folded in", values)
        assert bias.shape == (layer.out_channels,)
    return folded


def to_float32(what: str, values: np.ndarray) -> np.ndarray:
    """Raises FoldError when a value does not fit."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    check_finite(what, single)
    return single


def count_source_parameters(tensors: Mapping[str, np.ndarray], recognised: Recognised) -> Recognised:
    """`recognised` with each layer's trainable parameters as PyTorch counts them: weight, bias, BatchNorm's two."""
    def counted(name: str, layer: Layer) -> Layer:
        origin = recognised.origins[name]
        parts = [f"{origin.conv}.weight", f"{origin.conv}.bias"]
        if origin.bn is not None:
            parts += [f"{origin.bn}.weight", f"{origin.bn}.bias"]
        counted = sum(tensors[part].size for part in parts if part in tensors)
        return replace(layer, source_parameters=None if origin.before is not None else counted)

    layers = {name: counted(name, layer) for name, layer in recognised.architecture.layers()}
    architecture = recognised.architecture
    blocks = tuple(replace(block, expand=layers.get(f"blocks.{i}.expand"), depthwise=layers[f"blocks.{i}.depthwise"],
                           project=layers[f"blocks.{i}.project"]) for i, block in enumerate(architecture.blocks))
    return replace(recognised, architecture=replace(architecture, stem=layers["stem"], blocks=blocks,
                                                    head=layers.get("head"), classifier=_classifier(architecture, layers)))


def _classifier(architecture: Architecture, layers: Mapping[str, Layer]) -> Union[None, Layer, tuple[Layer, ...]]:
    """The layers of the classifier, each replaced by that of its name."""
    found = tuple(layers[name] for name, _ in architecture.classifier_layers())
    return found if isinstance(architecture.classifier, tuple) else found[0] if found else None


def _fold_layer(tensors: Mapping[str, np.ndarray], origin: Origin) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias in float64."""
    def finite(name: str) -> np.ndarray:
        check_finite(name, tensors[name])
        return tensors[name]

    weight = finite(f"{origin.conv}.weight")
    bias = finite(f"{origin.conv}.bias") if f"{origin.conv}.bias" in tensors else np.zeros(weight.shape[0])
    if origin.before is not None:  # weight * (scale * x + shift) + bias
        scale, shift = _affine(origin.before, origin.eps, tensors)
        weight, bias = weight * scale, bias + weight @ shift
    if origin.bn is None:
        return weight, bias
    gamma, beta, mean, variance = (finite(f"{origin.bn}.{part}")
                                   for part in ("weight", "bias", "running_mean", "running_var"))
    _check_variance(f"{origin.bn}.running_var", variance, origin.eps)
    return fold_norm(weight, bias, gamma, beta, mean, variance, origin.eps)


def _check_variance(name: str, variance: np.ndarray, eps: float) -> None:
    if (variance < 0).any():
        raise FoldError(f"{name} has a negative value: {variance.min():g}")
    if eps == 0 and (variance == 0).any():
        raise FoldError(f"{name} has a zero, which needs an eps above 0")


def _affine(bn: str, eps: float, tensors: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(scale, shift) that a BatchNorm is by channel."""
    parts = {}
    for part in ("weight", "bias", "running_mean", "running_var"):
        check_finite(f"{bn}.{part}", tensors[f"{bn}.{part}"])
        parts[part] = tensors[f"{bn}.{part}"]
    _check_variance(f"{bn}.running_var", parts["running_var"], eps)
    scale = parts["weight"] / np.sqrt(parts["running_var"] + eps)
    return scale, parts["bias"] - parts["running_mean"] * scale


def fold_norm(weight: np.ndarray, bias: np.ndarray, gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray,
              variance: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The weight and bias of a layer with the BatchNorm after it folded in, float64."""
    scale = gamma / np.sqrt(variance + eps)
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), beta + (bias - mean) * scale


def check_finite(name: str, values: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise FoldError(f"{name} has {len(bad)} values that are not finite, the first at {bad[0].tolist()}")

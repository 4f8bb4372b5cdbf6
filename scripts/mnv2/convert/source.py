"""What a reader finds in a file of people's: the network, what it was made for, and how its outputs were checked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Optional

import numpy as np

from mnv2.convert.architecture import ConversionError, Preprocessing
from mnv2.convert.chain import Chain, follow
from mnv2.convert.graph import Graph, Norm, run_graph
from mnv2.convert.recognise_chain import Network, recognise_chain
from mnv2.convert.run_file import compare_outputs, run_model_file

TOLERANCE = 1e-4  # of the largest |output|
CHECK_PICTURES = 2
MAX_CHECK_SIDE = 256  # pixels; larger inputs are checked at a side that is as odd or even at every layer


class SourceError(ConversionError):
    """A file that holds no network to convert, or a damaged one."""


@dataclass
class Source:
    """`title` says what the file is, `notes` what was taken from where. `preprocessing` is what the file states or else
    the convention of such files; `form_stated` and the like are in the notes."""

    title: str
    network: Network
    graph: Graph
    preprocessing: Preprocessing
    labels: Optional[list[str]] = None
    notes: list[str] = field(default_factory=list)
    sha256: Optional[str] = None
    input_scale: np.ndarray = field(default_factory=lambda: np.ones(3))  # of what the graph takes to what the file's
    input_shift: np.ndarray = field(default_factory=lambda: np.zeros(3))  # network takes

    def check(self, metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> None:
        """Raises ConversionError when the written file gives other outputs than the source's own operations."""
        side = self.network.side or self.preprocessing.crop
        if side > MAX_CHECK_SIDE:
            side = 224 + side % 32
        images = check_pictures(side)
        scale, shift = (values.reshape(3, 1, 1) for values in (self.input_scale, self.input_shift))
        expected = run_graph(self.graph, (images - shift) / scale)
        wrong = compare_outputs(run_model_file(metadata, tensors, images), expected, TOLERANCE)
        if wrong:
            raise SourceError(f"the written file gives other outputs than the source: {wrong}")


def check_pictures(side: int) -> np.ndarray:
    """Normalised pictures [N, 3, side, side]: a slope with noise on it, never the same channel twice."""
    rng = np.random.default_rng(1)
    slope = np.linspace(-1, 1, side)
    base = slope[None, :] * np.array([1.0, -0.5, 0.3])[:, None] + 0.2
    return base[None, :, None, :] + rng.normal(0, 0.6, (CHECK_PICTURES, 3, side, side))


def recognise_graph(graph: Graph) -> tuple[Network, Chain]:
    chain = follow(graph)
    return recognise_chain(chain, graph.side), chain


def fold_input(chain: Chain, preprocessing: Preprocessing, most: float) -> tuple[Preprocessing, np.ndarray, np.ndarray, bool]:
    """`preprocessing` with the normalisation that stands in front of the network, for images with values from 0 to `most`.

    Returns it with (scale, shift) from the graph's input to the network's, and whether there was one.
    """
    scale, shift = np.ones(3), np.zeros(3)
    for norm in chain.input_norms:
        a, b = _affine(norm)
        scale, shift = scale * a, shift * a + b
    if not chain.input_norms:
        return preprocessing, scale, shift, False
    if not (np.isfinite(scale).all() and np.isfinite(shift).all() and (scale > 0).all()):
        raise SourceError(f"{chain.input_norms[0].name}: normalises the image with {scale.tolist()} * x + {shift.tolist()}, "
                          "expected factors above 0")
    std = 1 / (scale * most)
    mean = -shift * std
    stated = replace(preprocessing, mean=tuple(_round(x) for x in mean), std=tuple(_round(x) for x in std))
    return stated, scale, shift, True


def _affine(norm: Norm) -> tuple[np.ndarray, np.ndarray]:
    scale = norm.gamma / np.sqrt(norm.variance + norm.eps)
    return np.broadcast_to(scale, 3), np.broadcast_to(norm.beta - norm.mean * scale, 3)


def _round(value: float) -> float:
    """As people write it, where the float32 that it came from cannot tell: 0.5 and not 0.5000000118."""
    short = float(f"{value:.6g}")
    return short if abs(short - value) <= 1.2e-7 * abs(value) else float(value)

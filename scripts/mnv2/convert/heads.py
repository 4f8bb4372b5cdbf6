"""What the numbers after the last layer mean: settled when converting, because a wrong guess makes wrong probabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from mnv2.convert.architecture import OUTPUT_ACTIVATIONS, RAW, SIGMOID, SOFTMAX, Architecture, ConversionError


class HeadError(ConversionError):
    """Outputs that make no probabilities."""


def settle_outputs(architecture: Architecture, wish: Optional[str] = None, found: Optional[str] = None) -> Architecture:
    """`architecture` with the output activation that the user wishes, that was found in the source, or softmax.

    Raises HeadError for one output of which nobody says what it is, and for a softmax over it, which is always 1.
    """
    activation = wish or found or SOFTMAX
    if activation not in OUTPUT_ACTIVATIONS:
        raise HeadError(f"output activation {activation!r}, expected one of {', '.join(OUTPUT_ACTIVATIONS)}")
    if architecture.outputs == 0:
        if wish not in (None, RAW):
            raise HeadError(f"--output-activation {wish}: the network has no classifier, it gives features")
        return architecture
    if architecture.outputs == 1 and activation == SOFTMAX:
        raise HeadError(f"the network has one output, of which a softmax makes 1 for every image; where it tells yes from no, "
                        f"convert with --output-activation {SIGMOID}, and where it is a plain number, with {RAW}")
    return replace(architecture, output_activation=activation)

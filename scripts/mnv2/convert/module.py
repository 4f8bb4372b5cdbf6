"""convert(): from a whole torch.nn.Module to a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Sequence, Union

from mnv2.convert.architecture import ConversionError
from mnv2.convert.heads import settle_outputs
from mnv2.convert.known_layouts import LAYOUTS, recognise
from mnv2.convert.preprocessing import PreprocessingWishes, choose_preprocessing

if TYPE_CHECKING:
    import torch

    from mnv2.convert.conversion import Converted


def convert(module: "torch.nn.Module", example_input: "torch.Tensor", output: Union[str, Path], *,
            arch: Optional[str] = None, labels: Union[None, Path, Sequence[str]] = None,
            wishes: PreprocessingWishes = PreprocessingWishes(), source: Optional[str] = None,
            output_activation: Optional[str] = None) -> Converted:
    """Writes a model file of `module`, which stays as it is.

    The layers are recognised by the names of the state_dict (`arch`: a name of LAYOUTS, to force one). Strides,
    activations, residual connections, padding and BatchNorm's eps are observed while the module runs on `example_input`
    [N, 3, H, W]. The written file's network must then give the module's outputs on `example_input` and on noise, within
    1e-4 of the largest; a softmax or sigmoid at the end is left out, because the program has its own. Without either in the
    module `output_activation` says what the outputs are: "softmax" (the default), "sigmoid" or "none".

    `labels` is a file or the names; the crop is the side of `example_input`, unless `wishes` say otherwise.
    Raises ConversionError, and whatever `module` raises when it runs.
    """
    from mnv2.convert.checkpoint import refuse_quantised
    from mnv2.convert.conversion import check_output, find_labels, write_network
    from mnv2.convert.observe import observe, take_apart

    output = Path(output)
    check_output(output)
    if arch is not None and arch not in LAYOUTS:
        raise ConversionError(f"arch {arch!r}, expected one of {', '.join(LAYOUTS)}")
    refuse_quantised(module.state_dict())
    subject = take_apart(module)
    recognised = recognise(subject.tensors, arch=arch)
    observed = observe(subject, example_input)
    recognised = observed.apply(recognised)
    if wishes.crop is None and example_input.shape[2] == example_input.shape[3]:
        crop = int(example_input.shape[2])
        layout = recognised.layout.preprocessing
        wishes = replace(wishes, crop=crop, resize=wishes.resize or crop * layout.resize // layout.crop)
    preprocessing = choose_preprocessing(recognised.layout, wishes)
    architecture = settle_outputs(recognised.architecture, output_activation, observed.output_activation)
    recognised = replace(recognised, architecture=architecture)
    names = find_labels(labels, architecture)
    return write_network(output, subject.tensors, recognised, preprocessing, names,
                         source or f"module {type(module).__name__}", check=observed.check)

"""convert(): from a whole torch.nn.Module to a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Sequence, Union

from mnv2.convert.architecture import ConversionError, Preprocessing
from mnv2.convert.heads import settle_outputs
from mnv2.convert.known_layouts import LAYOUTS, recognise
from mnv2.convert.options import DTYPES, FLOAT32
from mnv2.convert.preprocessing import PreprocessingWishes, check_preprocessing, choose_preprocessing

if TYPE_CHECKING:
    import torch

    from mnv2.convert.conversion import Converted, Precision
    from mnv2.convert.observe import Subject


def convert(module: "torch.nn.Module", example_input: "torch.Tensor", output: Union[str, Path], *,
            arch: Optional[str] = None, labels: Union[None, Path, Sequence[str]] = None,
            wishes: PreprocessingWishes = PreprocessingWishes(), source: Optional[str] = None,
            output_activation: Optional[str] = None, dtype: str = FLOAT32,
            photos: Optional[Path] = None) -> Converted:
    """Writes a model file of `module`, which stays as it is.

    The layers are recognised by the names of the state_dict (`arch`: a name of LAYOUTS, to force one), or else by what the
    module does. Strides,
    activations, residual connections, padding and BatchNorm's eps are observed while the module runs on `example_input`
    [N, 3, H, W]. The written file's network must then give the module's outputs on `example_input` and on noise, within
    1e-4 of the largest; a softmax or sigmoid at the end is left out, because the program has its own. Without either in the
    module `output_activation` says what the outputs are: "softmax" (the default), "sigmoid" or "none".

    `dtype` ("float32" or "bfloat16") is that of the weights in the file; the layers' mean inputs are measured on `photos`, a
    folder, or else on synthetic images. `labels` is a file or the names; the crop is the side of `example_input`, unless `wishes` say otherwise.
    Raises ConversionError, and whatever `module` raises when it runs.
    """
    from mnv2.convert.checkpoint import refuse_quantised
    from mnv2.convert.conversion import Precision, check_output, find_labels, write_network
    from mnv2.convert.observe import example_and_noise, observe, take_apart

    output = Path(output)
    check_output(output)
    if arch is not None and arch not in LAYOUTS:
        raise ConversionError(f"arch {arch!r}, expected one of {', '.join(LAYOUTS)}")
    refuse_quantised(module.state_dict())
    if dtype not in DTYPES:
        raise ConversionError(f"dtype {dtype!r}, expected one of {', '.join(DTYPES)}")
    precision = Precision(dtype, None if photos is None else Path(photos))
    example_and_noise(example_input)
    subject = take_apart(module)
    try:
        recognised = recognise(subject.tensors, arch=arch)
        observed = observe(subject, example_input)
        recognised = observed.apply(recognised)
    except ConversionError as error:
        if arch is not None:
            raise
        options = (labels, wishes, source or f"module {type(module).__name__}", output_activation, precision)
        return _convert_structure(subject, example_input, output, error, *options)
    if wishes.crop is None and example_input.shape[2] == example_input.shape[3]:
        crop = int(example_input.shape[2])
        layout = recognised.layout.preprocessing
        wishes = replace(wishes, crop=crop, resize=wishes.resize or crop * layout.resize // layout.crop)
    preprocessing = choose_preprocessing(recognised.layout, wishes)
    architecture = settle_outputs(recognised.architecture, output_activation, observed.output_activation)
    recognised = replace(recognised, architecture=architecture)
    names = find_labels(labels, architecture)
    return write_network(output, subject.tensors, recognised, preprocessing, names,
                         source or f"module {type(module).__name__}", precision, check=observed.check)


def _convert_structure(subject: Subject, example_input: torch.Tensor, output: Path, by_names: ConversionError,
                       labels: Union[None, Path, Sequence[str]], wishes: PreprocessingWishes, source: str,
                       output_activation: Optional[str], precision: Precision) -> Converted:
    """Writes a model file of what the module does, whatever its tensors are called; raises `by_names`, with what is wrong with
    the structure too, when that is no MobileNet either."""
    from mnv2.convert.conversion import find_labels, write_folded
    from mnv2.convert.fold import to_float32
    from mnv2.convert.observe_graph import ModuleCheck, observe_graph
    from mnv2.convert.source import fold_input, recognise_graph

    try:
        graph = observe_graph(subject, example_input)
        network, chain = recognise_graph(graph)
    except ConversionError as error:
        raise ConversionError(f"{by_names}; by its structure: {error}") from None
    base = Preprocessing()
    if wishes.crop is None and example_input.shape[2] == example_input.shape[3]:
        crop = int(example_input.shape[2])
        base = replace(base, crop=crop, resize=crop * base.resize // base.crop)
    base, scale, shift, _ = fold_input(chain, base, 1.0)
    stated = {name: value for name, value in vars(wishes).items() if value is not None}
    preprocessing = check_preprocessing(replace(base, **stated))
    architecture = settle_outputs(network.architecture, output_activation, network.output_activation)
    names = find_labels(labels, architecture)
    tensors = {name: to_float32(name, values) for name, values in network.tensors.items()}
    return write_folded(output, tensors, architecture, preprocessing, names, source, precision,
                        check=ModuleCheck(subject, example_input, graph, scale, shift))

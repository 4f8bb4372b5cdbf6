"""PyTorch files: state_dicts in whatever people save them with, and safetensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

from mnv2.convert.fold import count_source_parameters, fold
from mnv2.convert.known_layouts import recognise
from mnv2.convert.layouts import Recognised, Settings
from mnv2.convert.pytorch_file import FoundState, read_pytorch
from mnv2.convert.recognise_chain import Network
from mnv2.convert.source import Source
from mnv2.convert.state_graph import graph_of


def read_state_file(path: Path, key: Optional[str] = None, settings: Settings = Settings(),
                    arch: Optional[str] = None) -> Source:
    """The network in a PyTorch or safetensors file. Raises ConversionError, OSError."""
    state = read_pytorch(path, key)
    recognised = recognise(state.tensors, settings, arch)
    source = source_of_state(state, recognised)
    source.title = f"PyTorch state_dict, {recognised.layout.title}"
    return source


def source_of_state(state: FoundState, recognised: Recognised) -> Source:
    tensors = state.tensors
    recognised = count_source_parameters(tensors, recognised)
    network = Network(recognised.architecture, fold(tensors, recognised), None, None)
    preprocessing, notes = recognised.layout.preprocessing, []
    if state.others:
        notes.append(f"the weights are those of {state.key or 'the file itself'}; there are {', '.join(state.others)} besides "
                     "(--key NAME)")
    elif state.key:
        notes.append(f"the weights are those of {state.key}")
    if recognised.left_out:
        notes.append(f"left out, as no part of the network: {list_names(recognised.left_out)}")
    if recognised.normalisation is not None:
        mean, std = recognised.normalisation
        preprocessing = replace(preprocessing, mean=mean, std=std)
        notes.append("mean and std are those of the network's own normalisation")
    table = recognised.table
    notes.append(f"a state_dict does not hold strides, activations, padding and BatchNorm's eps: {table.origin}, strides "
                 f"{','.join(map(str, table.strides))}, {recognised.activation}, {recognised.architecture.padding} padding and "
                 f"{recognised.origins['stem'].eps:g} are taken (convert_torchvision.py --checkpoint has flags for them)")
    if recognised.activation_note:
        notes.append(recognised.activation_note)
    if table.assumed:
        notes.append("warning: other strides are about as likely for these shapes")
    if recognised.assumed_relu:
        notes.append("a ReLU is assumed between the dense layers of the classifier; a state_dict does not hold it")
    return Source("", network, graph_of(recognised, tensors), preprocessing, None, notes, state.sha256)


def list_names(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")

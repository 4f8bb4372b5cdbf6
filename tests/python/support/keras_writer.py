"""Writes random networks as Keras does: model_config with nested models, HDF5 in its layout, .keras, TensorFlow.js' layers-models."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, Optional

from support.any_network import AnyNetwork, Step
from support.converter import np

Weights = dict[str, dict[str, np.ndarray]]  # layer -> variable -> values in Keras' layout


def keras_layers(network: AnyNetwork, explicit_pads: bool = False) -> tuple[list[dict[str, Any]], list[str], Weights]:
    """(entries with `sources`, the name of the layer after each step, weights). Entries lack inbound_nodes."""
    entries: list[dict[str, Any]] = []
    names: list[str] = []
    weights: Weights = {}
    size, current, position = network.side, "input_1", 0

    def add(kind: str, name: str, *sources: str, **config: Any) -> str:
        entries.append({"class_name": kind, "config": {"name": name, "trainable": True, **config}, "name": name,
                        "sources": list(sources) or [current]})
        return name

    steps = network.steps
    while position < len(steps):
        step = steps[position]
        if step.kind == "conv":
            current, size = _convolution(network, step, size, current, add, weights, explicit_pads)
        elif step.kind == "norm":
            weights[step.name] = {"gamma": step.norm["gamma"], "beta": step.norm["beta"], "moving_mean": step.norm["mean"],
                                  "moving_variance": step.norm["variance"]}
            current = add("BatchNormalization", step.name, axis=[3], epsilon=step.eps, center=True, scale=True)
        elif step.kind == "relu":
            current = add("ReLU", step.name, max_value=step.highest, negative_slope=0.0, threshold=0.0)
        elif step.kind == "add":
            current = add("Add", step.name, names[step.source], current)
        elif step.kind == "pool":
            current = add("GlobalAveragePooling2D", step.name, data_format="channels_last")
        elif step.kind == "dense":
            following = steps[position + 1] if position + 1 < len(steps) else Step("end")
            activation = {"softmax": "softmax", "sigmoid": "sigmoid", "relu": "relu" if following.highest is None else "relu6"}
            weights[step.name] = {"kernel": step.weight.T} | ({"bias": step.bias} if step.bias is not None else {})
            current = add("Dense", step.name, units=len(step.weight), use_bias=step.bias is not None,
                          activation=activation.get(following.kind, "linear"))
            if following.kind in activation:
                names.append(current)
                position += 1
        names.append(current)
        position += 1
    return entries, names, weights


def _convolution(network: AnyNetwork, step: Step, size: int, current: str, add: Any, weights: Weights,
                 explicit_pads: bool) -> tuple[str, int]:
    kernel = step.weight.shape[2]
    padding = "valid"
    if kernel > 1 and network.same and not (explicit_pads and step.stride == 2):
        padding = "same"
    elif kernel > 1:
        before = 1 - int(network.same and step.stride == 2 and size % 2 == 0)
        current = add("ZeroPadding2D", f"{step.name}_pad", current, padding=[[before, 1], [before, 1]], data_format="channels_last")
    kind, variable = ("DepthwiseConv2D", "depthwise_kernel") if step.depthwise else ("Conv2D", "kernel")
    values = step.weight.transpose(2, 3, 0, 1) if step.depthwise else step.weight.transpose(2, 3, 1, 0)
    weights[step.name] = {variable: values} | ({"bias": step.bias} if step.bias is not None else {})
    shape = {} if step.depthwise else {"filters": len(step.weight)}
    current = add(kind, step.name, current, kernel_size=[kernel, kernel], strides=[step.stride, step.stride], padding=padding,
                  use_bias=step.bias is not None, activation="linear", dilation_rate=[1, 1], data_format="channels_last", **shape)
    return current, -(-size // step.stride)


def keras_model(network: AnyNetwork, nested: bool = False, rescaling: Optional[dict[str, Any]] = None, explicit_pads: bool = False,
                keras3: bool = False) -> tuple[dict[str, Any], Weights]:
    """(model_config, weights): one Functional model, or as Teachable Machine nests them, with a Sequential for the head."""
    entries, _, weights = keras_layers(network, explicit_pads)
    shape_key = "batch_shape" if keras3 else "batch_input_shape"
    first = {"class_name": "InputLayer", "name": "input_1", "inbound_nodes": [],
             "config": {shape_key: [None, network.side, network.side, 3], "dtype": "float32", "name": "input_1"}}
    if rescaling:
        entries.insert(0, {"class_name": "Rescaling", "name": "rescaling", "config": {"name": "rescaling", **rescaling},
                           "sources": ["input_1"]})
        for entry in entries[1:]:
            entry["sources"] = ["rescaling" if source == "input_1" else source for source in entry["sources"]]
    pool = next(i for i, entry in enumerate(entries) if entry["class_name"] == "GlobalAveragePooling2D")
    head = entries[pool + 1:] if nested else []
    trunk = entries[:pool] if nested else entries
    functional = {"class_name": "Functional", "config": {
        "name": "model_1", "layers": [first] + [_connected(entry, keras3) for entry in trunk],
        "input_layers": ["input_1", 0, 0] if keras3 else [["input_1", 0, 0]], "output_layers": [[trunk[-1]["name"], 0, 0]]}}
    if not nested:
        return functional, weights
    plain = lambda entry: {"class_name": entry["class_name"], "config": entry["config"]}  # noqa: E731
    bottom = {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": [functional, plain(entries[pool])]}}
    top = {"class_name": "Sequential", "config": {"name": "sequential_3", "layers": [
        {"class_name": "Dropout", "config": {"name": "dropout", "rate": 0.2}}, *map(plain, head)]}}
    return {"class_name": "Sequential", "config": {"name": "sequential_4", "layers": [bottom, top]}}, weights


def _connected(entry: dict[str, Any], keras3: bool) -> dict[str, Any]:
    sources = entry["sources"]
    if keras3:
        tensors = [{"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}} for source in sources]
        calls: Any = [{"args": [tensors] if len(tensors) > 1 else tensors, "kwargs": {}}]
    else:
        calls = [[[source, 0, 0, {}] for source in sources]]
    return {key: value for key, value in entry.items() if key != "sources"} | {"inbound_nodes": calls}


def _owners(config: dict[str, Any]) -> dict[str, list[str]]:
    """The model's own layers, each with the layers that have weights in it."""
    def below(entry: dict[str, Any]) -> list[str]:
        inner = entry["config"]
        return [name for layer in inner["layers"] for name in below(layer)] if "layers" in inner else [inner["name"]]

    return {entry["config"]["name"]: below(entry) for entry in config["config"]["layers"]}


def write_h5(path: Path, config: dict[str, Any], weights: Weights) -> None:
    """As model.save(FILE.h5) of Keras 2 does."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["keras_version"], file.attrs["backend"] = b"2.12.0", b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        root = file.create_group("model_weights")
        owners = _owners(config)
        root.attrs["layer_names"] = [name.encode() for name in owners]
        for owner, layers in owners.items():
            group = root.create_group(owner)
            names = [f"{layer}/{variable}:0" for layer in layers for variable in weights.get(layer, {})]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                layer, variable = name[:-2].split("/")
                group.create_dataset(name, data=weights[layer][variable])


def write_keras(path: Path, config: dict[str, Any], weights: Weights) -> None:
    """As model.save(FILE.keras) does: variables by number below `layers/<class>[_n]`, counted for each class and model."""
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        _write_group(file, config, weights)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.3.3", "date_saved": "2024-05-01@10:00:00"}))
        archive.writestr("config.json", json.dumps({"module": "keras", **config}))
        archive.writestr("model.weights.h5", memory.getvalue())


SNAKES = {"Conv2D": "conv2d", "DepthwiseConv2D": "depthwise_conv2d", "BatchNormalization": "batch_normalization", "Dense": "dense",
          "ReLU": "re_lu", "Functional": "functional", "Sequential": "sequential", "InputLayer": "input_layer"}


def _write_group(group: Any, config: dict[str, Any], weights: Weights) -> None:
    counts: Counter = Counter()
    layers = group.create_group("layers")
    for entry in config["config"]["layers"]:
        snake = SNAKES.get(entry["class_name"], entry["class_name"].lower())
        number = counts[snake]
        counts[snake] += 1
        own = layers.create_group(snake + (f"_{number}" if number else ""))
        if "layers" in entry["config"]:
            _write_group(own, entry, weights)
            continue
        variables = own.create_group("vars")
        for i, values in enumerate(weights.get(entry["config"]["name"], {}).values()):
            variables.create_dataset(str(i), data=values)


def write_tfjs(folder: Path, config: dict[str, Any], weights: Weights, quantise: Optional[str] = None, shards: int = 1) -> Path:
    """As TensorFlow.js saves a layers-model, or tensorflowjs_converter with --quantize_{uint8,uint16,float16}."""
    entries, data = [], b""
    for layer, variables in weights.items():
        for variable, values in variables.items():
            entry: dict[str, Any] = {"name": f"{layer}/{variable}", "shape": list(values.shape), "dtype": "float32"}
            if quantise == "float16":
                entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
                values = values.astype("<f2")
            elif quantise is not None:
                low, high, most = float(values.min()), float(values.max()), np.iinfo(quantise).max
                scale = (high - low) / most or 1.0
                entry["quantization"] = {"dtype": quantise, "scale": scale, "min": low, "original_dtype": "float32"}
                values = np.round((values.astype(np.float64) - low) / scale).astype(np.dtype(quantise).newbyteorder("<"))
            entries.append(entry)
            data += np.ascontiguousarray(values).tobytes()
    size = -(-len(data) // shards)
    paths = ["weights.bin"] if shards == 1 else [f"group1-shard{i + 1}of{shards}.bin" for i in range(shards)]
    for i, name in enumerate(paths):
        (folder / name).write_bytes(data[i * size:(i + 1) * size])
    model = folder / "model.json"
    model.write_text(json.dumps({"format": "layers-model", "modelTopology": {"keras_version": "2.12.0", "backend": "tensorflow",
                                                                             "model_config": config},
                                 "weightsManifest": [{"paths": paths, "weights": entries}]}))
    return model

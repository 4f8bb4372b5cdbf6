"""A Keras model from its configuration (the JSON in .h5 and .keras files and in TensorFlow.js' layers-models) as a Graph.

Models nest (a Sequential in a Sequential with a Functional in it), and names carry numbers, so layers are taken by their
classes and by how they are connected. Layouts are Keras' (https://keras.io/api/layers): kernels [h, w, in, out], depthwise
[h, w, in, multiplier], dense [in, out].
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence

import numpy as np

from mnv2.convert.graph import INPUT, Clip, Convolution, Dense, Graph, Norm, Output, Padding, Pool, Reshape, Sum
from mnv2.convert.source import SourceError

# The variables of a layer by their short names (kernel, bias, gamma, ...), float64, in Keras' own layouts.
Variables = Callable[[str, str, Sequence[str]], Mapping[str, np.ndarray]]  # (path of names, class, wanted)

MODELS = ("Sequential", "Functional", "Model")
IGNORED = ("Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization",
           "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
           "RandomCrop", "RandomHeight", "RandomWidth")
MAX_NESTING = 20


def keras_graph(config: Mapping[str, Any], variables: Variables) -> Graph:
    """The Graph of a model's `config` (with class_name and config). Raises SourceError, and what malformed JSON raises."""
    builder = _Builder(variables)
    builder.graph.side = _input_side(config)
    builder.model(config, [INPUT], "", 0)
    return builder.graph


def layer_name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or entry["config"].get("name") or entry["class_name"])


def model_layers(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of a model's layers; the oldest Sequential has the list itself for its config."""
    inner = config["config"]
    layers = inner if isinstance(inner, list) else inner["layers"]
    if not isinstance(layers, list):
        raise SourceError("a model whose layers are no list")
    return layers


def _input_side(config: Mapping[str, Any], depth: int = 0) -> Optional[int]:
    """The side of the square images that the first layer takes, in pixels; None when any size goes."""
    if depth > MAX_NESTING:
        return None
    inner = config["config"]
    shape = None if isinstance(inner, list) else inner.get("batch_input_shape") or inner.get("batch_shape")
    if shape is None and config["class_name"] in MODELS:
        layers = model_layers(config)
        shape = None if isinstance(inner, list) else inner.get("build_input_shape")
        if not (isinstance(shape, list) and len(shape) == 4):
            return _input_side(layers[0], depth + 1) if layers else None
    if shape is None:
        return None
    if len(shape) != 4 or shape[3] != 3:
        raise SourceError(f"takes {shape}, expected images [batch, height, width, 3]")
    if shape[1] is None or shape[2] is None:
        return None
    if shape[1] != shape[2] or not 1 <= int(shape[1]) <= 4096:
        raise SourceError(f"takes images of {shape[1]}x{shape[2]} pixels, expected a square of 1 to 4096")
    return int(shape[1])


class _Builder:
    def __init__(self, variables: Variables) -> None:
        self.variables = variables
        self.graph = Graph()

    def model(self, config: Mapping[str, Any], inputs: Sequence[int], path: str, depth: int) -> int:
        """Adds a model's layers; the node that it ends in."""
        if depth > MAX_NESTING:
            raise SourceError(f"{path}: models nested more than {MAX_NESTING} times")
        if config["class_name"] == "Sequential":
            node = inputs[0]
            for entry in model_layers(config):
                node = self.layer(entry, [node], path, depth)
            return node
        return self._functional(config, inputs, path, depth)

    def _functional(self, config: Mapping[str, Any], inputs: Sequence[int], path: str, depth: int) -> int:
        inner, nodes = config["config"], {}
        first, last = (_ends(inner[key]) for key in ("input_layers", "output_layers"))
        if len(first) != 1 or len(last) != 1:
            raise SourceError(f"a model of {len(first)} inputs and {len(last)} outputs, expected one image and one classifier")
        for entry in model_layers(config):
            name = layer_name(entry)
            calls = entry.get("inbound_nodes") or []
            if name == first[0]:
                nodes[name] = inputs[0]
                continue
            if len(calls) != 1:
                raise SourceError(f"{name}: a layer that is used {len(calls)} times, expected once")
            sources = _sources(calls[0])
            missing = [source for source in sources if source not in nodes]
            if missing or not sources:
                raise SourceError(f"{name}: takes what {', '.join(missing) or 'no layer'} gives, which does not come before it")
            nodes[name] = self.layer(entry, [nodes[source] for source in sources], path, depth)
        if last[0] not in nodes:
            raise SourceError(f"the output is that of {last[0]}, which is no layer")
        return nodes[last[0]]

    def layer(self, entry: Mapping[str, Any], inputs: Sequence[int], path: str, depth: int) -> int:
        kind, name = entry["class_name"], layer_name(entry)
        where = f"{path}/{name}" if path else name
        if kind in MODELS:
            return self.model(entry, inputs, where, depth + 1)
        if kind == "InputLayer":
            return inputs[0]
        config = entry["config"]
        if config.get("data_format") == "channels_first":
            raise SourceError(f"{name}: channels before rows (data_format channels_first)")
        constant = _constant_operation(entry)
        if constant is not None:
            scale, shift = (np.asarray(values, np.float64).reshape(-1) for values in constant)
            return self._affine(where, scale, shift, inputs[0])
        handler = HANDLERS.get(kind)
        if kind in IGNORED:
            return self.graph.add(Reshape(name, flat=False), inputs[0])
        if handler is None:
            raise SourceError(f"{name}: a layer {kind}, which no MobileNet classifier has")
        return handler(self, where, config, inputs)

    # Each of these adds the operations of one Keras class.

    def _convolution(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        kernel, bias = self._weights(where, "Conv2D", "kernel", config)
        if config.get("groups", 1) not in (1, None):
            raise SourceError(f"{where}: a convolution in {config['groups']} groups")
        weight = _checked(where, kernel, 4).transpose(3, 2, 0, 1)
        stride, pads = _strides(where, config)
        return self._activate(where, config, self.graph.add(Convolution(where, weight, bias, stride, pads), inputs[0]))

    def _depthwise(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        kernel, bias = self._weights(where, "DepthwiseConv2D", "depthwise_kernel", config)
        if _checked(where, kernel, 4).shape[3] != 1:
            raise SourceError(f"{where}: a depth multiplier of {kernel.shape[3]}, expected 1")
        stride, pads = _strides(where, config)
        operation = Convolution(where, kernel.transpose(2, 3, 0, 1), bias, stride, pads, depthwise=True)
        return self._activate(where, config, self.graph.add(operation, inputs[0]))

    def _dense(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        kernel, bias = self._weights(where, "Dense", "kernel", config)
        operation = Dense(where, _checked(where, kernel, 2).T, bias)
        return self._activate(where, config, self.graph.add(operation, inputs[0]))

    def _batch_norm(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        wanted = [name for name, used in (("gamma", config.get("scale", True)), ("beta", config.get("center", True))) if used]
        found = self.variables(where, "BatchNormalization", [*wanted, "moving_mean", "moving_variance"])
        mean, variance = found["moving_mean"], found["moving_variance"]
        axis = config.get("axis", -1)
        if (axis[0] if isinstance(axis, list) and axis else axis) not in (-1, 3, 1):
            raise SourceError(f"{where}: normalises axis {axis}, expected the channels")
        gamma, beta = found.get("gamma", np.ones_like(mean)), found.get("beta", np.zeros_like(mean))
        parameters = sum(found[name].size for name in wanted)
        norm = Norm(where, gamma, beta, mean, variance, float(config.get("epsilon", 1e-3)), parameters)
        return self.graph.add(norm, inputs[0])

    def _relu(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        if config.get("negative_slope") not in (None, 0, 0.0) or config.get("threshold") not in (None, 0, 0.0):
            raise SourceError(f"{where}: a ReLU with a slope or a threshold")
        highest = config.get("max_value")
        return self.graph.add(Clip(0, None if highest is None else float(highest)), inputs[0])

    def _activation(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        return self._activate(where, config, inputs[0])

    def _softmax(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        return self.graph.add(Output("softmax"), inputs[0])

    def _zero_padding(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        given = config["padding"]
        rows, columns = (given, given) if isinstance(given, int) else given
        (top, bottom), (left, right) = ((side, side) if isinstance(side, int) else side for side in (rows, columns))
        return self.graph.add(Padding((int(left), int(right), int(top), int(bottom))), inputs[0])

    def _global_average(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        return self.graph.add(Pool(where), inputs[0])

    def _average(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        height, width = _pair(config["pool_size"])
        return self.graph.add(Pool(where, (height, width)), inputs[0])

    def _maximum(self, where: str, *_: Any) -> int:
        raise SourceError(f"{where}: takes the maximum over pixels, where the engine takes the average")

    def _flatten(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        return self.graph.add(Reshape(where), inputs[0])

    def _reshape(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        # Keras' MobileNetV1 has its classes as a 1x1 convolution between two of these.
        return self.graph.add(Reshape(where), inputs[0])

    def _add(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        if len(inputs) != 2:
            raise SourceError(f"{where}: a sum of {len(inputs)} values, expected two")
        return self.graph.add(Sum(), *inputs)

    def _rescaling(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        scale = np.asarray(config["scale"], np.float64).reshape(-1)
        shift = np.asarray(config.get("offset", 0), np.float64).reshape(-1)
        return self._affine(where, scale, shift, inputs[0])

    def _normalization(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        mean, variance = config.get("mean"), config.get("variance")
        if mean is None or variance is None:
            found = self.variables(where, "Normalization", ["mean", "variance"])
            mean, variance = found["mean"], found["variance"]
        deviation = np.maximum(np.sqrt(np.asarray(variance, np.float64).reshape(-1)), 1e-7)
        return self._affine(where, 1 / deviation, -np.asarray(mean, np.float64).reshape(-1) / deviation, inputs[0])

    def _code_operation(self, where: str, config: Mapping[str, Any], inputs: Sequence[int]) -> int:
        raise SourceError(f"{where}: an operation {str(config.get('function'))[:40]} that stands in Python code")

    def _lambda(self, where: str, *_: Any) -> int:
        raise SourceError(f"{where}: a Lambda layer, which is Python code that is not run here")

    def _affine(self, where: str, scale: np.ndarray, shift: np.ndarray, node: int) -> int:
        channels = max(scale.size, shift.size, 3)
        scale, shift = np.broadcast_to(scale, channels), np.broadcast_to(shift, channels)
        return self.graph.add(Norm(where, scale, shift, np.zeros(channels), np.ones(channels), 0.0), node)

    def _activate(self, where: str, config: Mapping[str, Any], node: int) -> int:
        kind = config.get("activation") or "linear"
        if isinstance(kind, dict):  # a layer, or a function that was registered under a name
            inner = kind.get("config")
            if isinstance(inner, dict) and kind.get("class_name") == "ReLU":
                return self._relu(where, inner, [node])
            kind = inner if isinstance(inner, str) else str(kind.get("class_name"))
        if kind == "linear":
            return node
        if kind in ("relu", "relu6"):
            return self.graph.add(Clip(0, 6.0 if kind == "relu6" else None), node)
        if kind in ("softmax", "sigmoid"):
            return self.graph.add(Output(kind), node)
        raise SourceError(f"{where}: the activation {kind}, expected relu, relu6, softmax or sigmoid")

    def _weights(self, where: str, kind: str, kernel: str,
                 config: Mapping[str, Any]) -> tuple[np.ndarray, Optional[np.ndarray]]:
        with_bias = config.get("use_bias", True)
        found = self.variables(where, kind, [kernel, "bias"] if with_bias else [kernel])
        bias = found["bias"] if with_bias else None
        if bias is not None and bias.ndim != 1:
            raise SourceError(f"{where}: a bias of the shape {list(bias.shape)}")
        return found[kernel], bias


HANDLERS = {"Conv2D": _Builder._convolution, "DepthwiseConv2D": _Builder._depthwise, "Dense": _Builder._dense,
            "BatchNormalization": _Builder._batch_norm, "ReLU": _Builder._relu, "Activation": _Builder._activation,
            "Softmax": _Builder._softmax, "ZeroPadding2D": _Builder._zero_padding, "GlobalAveragePooling2D":
            _Builder._global_average, "AveragePooling2D": _Builder._average, "MaxPooling2D": _Builder._maximum,
            "Flatten": _Builder._flatten, "Reshape": _Builder._reshape, "Add": _Builder._add, "Rescaling":
            _Builder._rescaling, "Normalization": _Builder._normalization, "TFOpLambda": _Builder._code_operation,
            "Lambda": _Builder._lambda, "GlobalMaxPooling2D": _Builder._maximum,             "SlicingOpLambda":
            _Builder._code_operation}


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, (int, float)) else (int(value[0]), int(value[1]))


def _checked(where: str, kernel: np.ndarray, dimensions: int) -> np.ndarray:
    if kernel.ndim != dimensions or 0 in kernel.shape:
        raise SourceError(f"{where}: a kernel of the shape {list(kernel.shape)}, expected {dimensions} dimensions")
    return kernel


def _strides(where: str, config: Mapping[str, Any]) -> tuple[int, Any]:
    strides, dilation = _pair(config.get("strides", 1)), _pair(config.get("dilation_rate", 1))
    if strides[0] != strides[1] or dilation != (1, 1) or strides[0] < 1:
        raise SourceError(f"{where}: strides {strides}, dilation {dilation}; expected one stride and no dilation")
    padding = config.get("padding", "valid")
    if padding not in ("same", "valid"):
        raise SourceError(f"{where}: padding {padding!r}, expected same or valid")
    return strides[0], None if padding == "same" else (0, 0, 0, 0)


def _constant_operation(entry: Mapping[str, Any]) -> Optional[tuple[Any, Any]]:
    """(scale, shift) of an operation on a value and a constant, such as preprocess_input leaves in a model: Keras 2 has
    TFOpLambda with the constant in the call, Keras 3 TrueDivide, Subtract and so on."""
    kind, calls = entry["class_name"], entry.get("inbound_nodes") or []
    if len(calls) != 1:
        return None
    if kind == "TFOpLambda":
        kind = str(entry["config"].get("function", "")).rpartition(".")[2]
        call = calls[0] if calls[0] and isinstance(calls[0][0], str) else calls[0][0]
        constant = call[3].get("y") if len(call) > 3 and isinstance(call[3], dict) else None
    elif isinstance(calls[0], dict):
        arguments = calls[0].get("args") or []
        constant = arguments[1] if len(arguments) == 2 else None
    else:
        return None
    numbers = constant if isinstance(constant, list) and constant else [constant]
    if not all(isinstance(number, (int, float)) for number in numbers):
        return None
    values = np.asarray(constant, np.float64)
    known = {"truediv": (1 / values, 0), "TrueDivide": (1 / values, 0), "divide": (1 / values, 0), "Divide": (1 / values, 0),
             "subtract": (1, -values), "sub": (1, -values), "Subtract": (1, -values), "add": (1, values), "Add": (1, values),
             "multiply": (values, 0), "mul": (values, 0), "Multiply": (values, 0)}
    return known.get(kind)


def _ends(layers: Any) -> list[str]:
    """The names in input_layers or output_layers: [name, 0, 0], or a list of such."""
    if isinstance(layers, list) and layers and isinstance(layers[0], str):
        return [layers[0]]
    return [entry[0] for entry in layers]


def _sources(call: Any) -> list[str]:
    """The layers that one call takes: Keras 2 and TensorFlow.js [[name, node, tensor, kwargs], ...], Keras 3 {"args": ...}."""
    if isinstance(call, dict):
        found: list[str] = []
        _histories(call.get("args"), found, 0)
        return found
    if call and isinstance(call[0], str):  # Keras 2's call of a layer with arguments of its own
        call = [call]
    return [entry[0] for entry in call]


def _histories(value: Any, found: list[str], depth: int) -> None:
    if depth > MAX_NESTING:
        return
    if isinstance(value, dict):
        history = value.get("config", {}).get("keras_history") if isinstance(value.get("config"), dict) else None
        if history:
            found.append(history[0])
        return
    if isinstance(value, list):
        for item in value:
            _histories(item, found, depth + 1)

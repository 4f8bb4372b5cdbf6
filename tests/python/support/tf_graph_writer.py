"""Writes random networks as tensorflowjs_converter writes graph-models: nodes with attributes in JSON, weights beside."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Optional

from support.any_network import AnyNetwork, Step
from support.converter import np


def _text(word: str) -> str:
    return base64.b64encode(word.encode()).decode()


def write_graph_model(folder: Path, network: AnyNetwork, fused: bool = True, rescale: bool = False, window: bool = False) -> None:
    """`fused`: _FusedConv2D and its like, else each operation apart, with FusedBatchNormV3; `window`: AvgPool and Squeeze for Mean."""
    nodes: list[dict[str, Any]] = []
    weights: list[tuple[str, np.ndarray]] = []
    size = network.side

    def node(op: str, name: str, *inputs: str, **attributes: Any) -> str:
        nodes.append({"name": name, "op": op, "input": list(inputs), "attr": attributes})
        return name

    def constant(name: str, values: np.ndarray) -> str:
        weights.append((name, np.ascontiguousarray(values)))
        return node("Const", name)

    shape = {"shape": {"shape": {"dim": [{"size": str(n)} for n in (-1, network.side, network.side, 3)]}}}
    current, after, position, steps = node("Placeholder", "input", **shape), [], 0, network.steps
    if rescale:
        current = node("Mul", "scaled", current, constant("factor", np.float32(1 / 127.5)))
        current = node("Sub", "shifted", current, constant("one", np.float32(1)))
    while position < len(steps):
        step, taken = steps[position], 1
        follows = lambda k: steps[position + k] if position + k < len(steps) else Step("end")  # noqa: E731
        if step.kind == "conv":
            norm: Optional[Step] = follows(1) if follows(1).kind == "norm" else None
            relu = follows(2 if norm else 1)
            kernel = step.weight.transpose(2, 3, 0, 1) if step.depthwise else step.weight.transpose(2, 3, 1, 0)
            bias = step.bias
            if fused and norm is not None:
                scale = norm.norm["gamma"] / np.sqrt(norm.norm["variance"].astype(np.float64) + norm.eps)
                kernel = kernel * (scale.reshape(1, 1, -1, 1) if step.depthwise else scale)
                bias = norm.norm["beta"] + ((0 if bias is None else bias) - norm.norm["mean"]) * scale
            padding = "SAME"
            if step.weight.shape[2] > 1 and not network.same:
                pads = constant(f"{step.name}/pads", np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
                current, padding = node("Pad", f"{step.name}/padded", current, pads), "VALID"
            size = -(-size // step.stride)
            attributes = {"strides": {"list": {"i": ["1", str(step.stride), str(step.stride), "1"]}}, "padding": {"s": _text(padding)},
                          "data_format": {"s": _text("NHWC")}}
            inputs = [current, constant(f"{step.name}/w", kernel.astype(np.float32))]
            plain = "DepthwiseConv2dNative" if step.depthwise else "Conv2D"
            if fused:
                words = ["BiasAdd"] + ([] if relu.kind != "relu" else ["Relu" if relu.highest is None else "Relu6"])
                inputs.append(constant(f"{step.name}/b", np.asarray(bias, np.float32)))
                attributes["fused_ops"] = {"list": {"s": [_text(word) for word in words]}}
                current = node("FusedDepthwiseConv2dNative" if step.depthwise else "_FusedConv2D", step.name, *inputs, **attributes)
                taken += (norm is not None) + (relu.kind == "relu")
            else:
                current = node(plain, step.name, *inputs, **attributes)
                if bias is not None:
                    current = node("BiasAdd", f"{step.name}/biased", current, constant(f"{step.name}/b", bias))
        elif step.kind == "norm":
            parts = [constant(f"{step.name}/{part}", step.norm[part]) for part in ("gamma", "beta", "mean", "variance")]
            current = node("FusedBatchNormV3", step.name, current, *parts, epsilon={"f": step.eps})
        elif step.kind == "relu":
            current = node("Relu" if step.highest is None else "Relu6", step.name, current)
        elif step.kind == "add":
            current = node("AddV2", step.name, after[step.source], current)
        elif step.kind == "pool" and window:
            sizes = {"list": {"i": ["1", str(size), str(size), "1"]}}
            current = node("Squeeze", "flat", node("AvgPool", "pooled", current, ksize=sizes))
        elif step.kind == "pool":
            current = node("Mean", "pooled", current, constant("axes", np.array([1, 2], np.int32)))
        elif step.kind == "dense":
            relu = follows(1)
            inputs = [current, constant(f"{step.name}/w", step.weight.T)]
            words = [] if step.bias is None else ["BiasAdd"]
            if fused and words:
                words += [] if relu.kind != "relu" else ["Relu" if relu.highest is None else "Relu6"]
                taken += relu.kind == "relu"
                current = node("_FusedMatMul", step.name, *inputs, constant(f"{step.name}/b", step.bias),
                               fused_ops={"list": {"s": [_text(word) for word in words]}})
            else:
                current = node("MatMul", step.name, *inputs)
                if step.bias is not None:
                    current = node("BiasAdd", f"{step.name}/biased", current, constant(f"{step.name}/b", step.bias))
        else:
            current = node(step.kind.capitalize(), step.name, current)
        after += [current] * taken
        position += taken
    current = node("Identity", "Identity", current)
    entries = [{"name": name, "shape": list(values.shape), "dtype": {"f": "float32", "i": "int32"}[values.dtype.kind]}
               for name, values in weights]
    (folder / "group1-shard1of1.bin").write_bytes(b"".join(values.tobytes() for _, values in weights))
    (folder / "model.json").write_text(json.dumps({
        "format": "graph-model", "modelTopology": {"node": nodes[::-1], "versions": {"producer": 808}},
        "weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": entries}]}))

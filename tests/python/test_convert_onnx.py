"""ONNX files: random networks exported by PyTorch and made by onnx's own helpers, and spoiled ones."""

from __future__ import annotations

import io
import sys
import unittest
import warnings
from typing import Any

from support.any_network import AnyNetwork, random_any_network
from support.convert import ConvertCase
from support.converter import nn, np, random_network, randomise, torch
from torchvision.models import mobilenet_v2

try:
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    print("SKIPPED: no onnx (Debian: python3-onnx)")
    sys.exit(77)


def exported(network: nn.Module, side: int, **options: Any) -> bytes:
    memory = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), torch.zeros(1, 3, side, side), memory, **options)
    return memory.getvalue()


def onnx_model(network: AnyNetwork, nhwc: bool = False, fold_pads: bool = False, rescale: bool = False) -> bytes:
    """As tf2onnx and PyTorch have it: BatchNormalization apart, SAME_UPPER or Pad, images [N, H, W, C] with a Transpose."""
    nodes, constants, current, after = [], [], "image", []

    def constant(name: str, values: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    if rescale:  # of bytes
        current = node("Mul", "scaled", current, constant("factor", np.float32(1 / 127.5)))
        current = node("Sub", "shifted", current, constant("one", np.float32(1)))
    if nhwc:
        current = node("Transpose", "transposed", current, perm=[0, 3, 1, 2])
    for step in network.steps:
        if step.kind == "conv":
            kernel = step.weight.shape[2]
            attributes: dict[str, Any] = {"strides": [step.stride] * 2, "group": len(step.weight) if step.depthwise else 1}
            if kernel > 1 and network.same:
                attributes["auto_pad"] = "SAME_UPPER"
            elif kernel > 1 and fold_pads:  # as older exports of PyTorch: pads put together and turned round by constants
                pads = node("Constant", f"{step.name}_c", value=numpy_helper.from_array(np.array([1, 1, 1, 1], np.int64)))
                zeros = node("ConstantOfShape", f"{step.name}_z", constant(f"{step.name}_n", np.array([4], np.int64)),
                             value=numpy_helper.from_array(np.array([0], np.int64)))
                joined = node("Concat", f"{step.name}_j", pads, zeros, axis=0)
                pairs = node("Reshape", f"{step.name}_r", joined, constant(f"{step.name}_s", np.array([-1, 2], np.int64)))
                cuts = [constant(f"{step.name}_{key}", np.array([value], np.int64)) for key, value in
                        (("first", -1), ("last", -(1 << 63)), ("axis", 0), ("step", -1))]
                turned = node("Slice", f"{step.name}_sl", pairs, *cuts)
                flat = node("Reshape", f"{step.name}_f", node("Transpose", f"{step.name}_t", turned, perm=[1, 0]),
                            constant(f"{step.name}_s2", np.array([-1], np.int64)))
                current = node("Pad", f"{step.name}_pad", current, node("Cast", f"{step.name}_ca", flat, to=7), mode="constant")
            elif kernel > 1:
                attributes["pads"] = [1, 1, 1, 1]
            inputs = [constant(f"{step.name}_w", step.weight)] + ([constant(f"{step.name}_b", step.bias)] if step.bias is not None else [])
            current = node("Conv", step.name, current, *inputs, **attributes)
        elif step.kind == "norm":
            parts = [constant(f"{step.name}_{part}", step.norm[part]) for part in ("gamma", "beta", "mean", "variance")]
            current = node("BatchNormalization", step.name, current, *parts, epsilon=step.eps)
        elif step.kind == "relu" and step.highest is None:
            current = node("Relu", step.name, current)
        elif step.kind == "relu":
            bounds = [constant(f"{step.name}_{key}", np.float32(value)) for key, value in (("low", 0), ("high", step.highest))]
            current = node("Clip", step.name, current, *bounds)
        elif step.kind == "add":
            current = node("Add", step.name, after[step.source], current)
        elif step.kind == "pool":
            current = node("Flatten", "flat", node("GlobalAveragePool", "pooled", current))
        elif step.kind == "dense":
            current = node("MatMul", step.name, current, constant(f"{step.name}_w", step.weight.T))
            if step.bias is not None:
                current = node("Add", f"{step.name}_biased", current, constant(f"{step.name}_b", step.bias))
        else:
            current = node({"softmax": "Softmax", "sigmoid": "Sigmoid"}[step.kind], step.name, current)
        after.append(current)
    side = network.side
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, side, side, 3] if nhwc else [None, 3, side, side])
    output = helper.make_tensor_value_info(current, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "test", [image], [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString()


class Onnx(ConvertCase):
    def write(self, data: bytes, name: str = "model.onnx") -> Any:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def test_random_networks(self) -> None:
        for seed in range(24):
            with self.subTest(seed=seed):
                network = random_any_network(seed)
                path = self.write(onnx_model(network, nhwc=seed % 3 == 0, fold_pads=seed % 4 < 2, rescale=seed % 5 == 0))
                metadata, _ = self.converted(path)
                images = network.images()
                self.compare_file(images, network.run(images))
                self.assertEqual({metadata["architecture"].get("output_activation", "softmax")},
                                 {step.kind for step in network.steps} & {"softmax", "sigmoid"})
                tensorflow = metadata["architecture"]["padding"] == "same"
                self.assertEqual(metadata["preprocessing"].get("form"), "squash-half-pixel" if tensorflow else None)
                if seed % 5 == 0:
                    self.assertEqual((metadata["preprocessing"]["mean"], metadata["preprocessing"]["std"]), ([0.5] * 3, [0.5] * 3))

    def test_exports_of_pytorch(self) -> None:
        names = self.folder / "labels.txt"
        for number, (opset, keep, side) in enumerate(((9, False, 64), (10, False, 96), (11, True, 64), (13, False, 128), (15, True, 60))):
            network = random_network(number, width_mult=(0.1, 0.25, 0.35)[number % 3], num_classes=3 + number)
            names.write_text("\n".join(f"class {i}" for i in range(3 + number)))
            options: dict[str, Any] = {"opset_version": opset}
            if keep:
                options |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
            if number == 3:
                options |= {"input_names": ["x"], "dynamic_axes": {"x": {0: "n", 2: "h", 3: "w"}}}
            metadata, said = self.converted(self.write(exported(network, side, **options)))
            images = torch.randn(2, 3, side, side)
            with torch.no_grad():
                self.compare_file(images.numpy(), network.eval()(images).numpy())
            self.assertEqual(metadata["preprocessing"]["crop"], 224 if number == 3 else side)
            self.assertEqual(metadata["preprocessing"]["mean"], [0.485, 0.456, 0.406])
            self.assertEqual(metadata["labels"][0], "class 0")

    def test_a_head_of_several_layers(self) -> None:
        network = mobilenet_v2(width_mult=0.1)
        network.classifier = nn.Sequential(nn.Linear(1280, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 1), nn.Sigmoid())
        network = randomise(network)
        metadata, _ = self.converted(self.write(exported(network, 64)))
        images = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            self.compare_file(images.numpy(), nn.Sequential(*list(network.classifier)[:-1])(network.features(images).mean((2, 3))).numpy())
        self.assertEqual(metadata["architecture"]["output_activation"], "sigmoid")

    def test_what_is_no_mobilenet(self) -> None:
        class Other(nn.Module):
            def __init__(self, end: Any) -> None:
                super().__init__()
                self.features, self.end = random_network(3, width_mult=0.1).features, end

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.end(self.features(x))

        two = nn.ModuleList([nn.Linear(1280, 2), nn.Linear(1280, 3)]).requires_grad_(False)
        for end, message in ((lambda x: x.amax((2, 3)), "takes the maximum over pixels"),
                             (lambda x: x.flatten(1), "flattens a map of 3x3 pixels into a vector"),
                             (lambda x: [head(x.mean((2, 3))) for head in two], "1 inputs and 2 outputs, expected one image"),
                             (lambda x: torch.tanh(x).mean((2, 3)), "an operation Tanh"), (lambda x: x, "ends in a map of features"),
                             (lambda x: nn.functional.max_pool2d(x, 3).mean((2, 3)), "takes the maximum over pixels"),
                             (lambda x: nn.functional.avg_pool2d(x, 2).flatten(1), "the average over 2x2 pixels of a map of 3x3")):
            self.refused(self.write(exported(Other(end), 96)), message)

    def test_spoiled_files(self) -> None:
        self.fuzz(onnx_model(random_any_network(3, sides=(32,))), "f.onnx", range(150))
        self.fuzz(exported(random_network(1, width_mult=0.1, num_classes=3), 32), "g.onnx", range(60))


if __name__ == "__main__":
    unittest.main(verbosity=2)

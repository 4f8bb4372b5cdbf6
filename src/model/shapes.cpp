#include <string>

#include "core/rounding.h"
#include "mnv2/error.h"
#include "mnv2/layer_shapes.h"

namespace mnv2 {
namespace {

constexpr std::int64_t kFloatBytes = 4;

LayerShape shape_of(const Layer& layer, int in_h, int in_w) {
  LayerShape shape{// With either padding a convolution gives ceil(in / stride) pixels along an axis.
                   .in_h = in_h,
                   .in_w = in_w,
                   .out_h = divide_up(in_h, layer.stride),
                   .out_w = divide_up(in_w, layer.stride)};
  const std::int64_t inputs_per_output =
      std::int64_t{layer.kernel} * layer.kernel * (layer.kind == LayerKind::depthwise ? 1 : layer.in_c);
  const std::int64_t weights = inputs_per_output * layer.out_c;
  const std::int64_t in_pixels = std::int64_t{shape.in_h} * shape.in_w;
  const std::int64_t out_pixels = std::int64_t{shape.out_h} * shape.out_w;
  shape.parameters = weights + layer.out_c;
  shape.multiply_adds = weights * out_pixels;
  shape.weight_bytes = shape.parameters * kFloatBytes;
  shape.activation_bytes = (in_pixels * layer.in_c + out_pixels * layer.out_c) * kFloatBytes;
  return shape;
}

}  // namespace

std::vector<LayerShape> layer_shapes(const Architecture& architecture, int input_h, int input_w) {
  if (input_h < 1 || input_w < 1)
    throw Error(ErrorCode::invalid_argument, "input size: " + std::to_string(input_h) + " x " +
                                                 std::to_string(input_w) +
                                                 ", expected at least 1 x 1 pixels");
  std::vector<LayerShape> shapes;
  int h = input_h;
  int w = input_w;
  const auto add = [&](const Layer& layer) {
    shapes.push_back(shape_of(layer, h, w));
    h = shapes.back().out_h;
    w = shapes.back().out_w;
  };
  add(architecture.stem);
  for (const Block& block : architecture.blocks) {
    if (block.expand) add(*block.expand);
    add(block.depthwise);
    add(block.project);
    // The tensor added is of the output's size.
    if (block.residual)
      shapes.back().activation_bytes += std::int64_t{h} * w * block.project.out_c * kFloatBytes;
  }
  if (architecture.head) add(*architecture.head);
  h = w = 1;  // pooled
  for (const Layer& layer : architecture.dense) add(layer);
  return shapes;
}

}  // namespace mnv2

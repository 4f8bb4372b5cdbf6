#include "app/summary/summary.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "app/base/format_text.h"

namespace mnv2::app {
namespace {

std::string activation_of(const Clamp& clamp) {
  const auto number = [](float value) { return format_text("%g", static_cast<double>(value)); };
  if (clamp.is_linear()) return "";
  if (clamp == Clamp{0, 6}) return ", ReLU6";
  if (clamp == Clamp{0, std::numeric_limits<float>::infinity()}) return ", ReLU";
  return ", clamp [" + number(clamp.min) + ", " + number(clamp.max) + "]";
}

std::string type_of(const Layer& layer, bool residual) {
  if (layer.kind == LayerKind::linear) return "Linear" + activation_of(layer.clamp);
  const std::string k = std::to_string(layer.kernel);
  return "Conv2d " + k + "x" + k + (layer.kind == LayerKind::depthwise ? " depthwise" : "") +
         (layer.stride == 1 ? "" : " s" + std::to_string(layer.stride)) + activation_of(layer.clamp) +
         (residual ? ", + input" : "");
}

/// Follows how much of the image an output pixel sees.
class ReceptiveField {
 public:
  /// @return pixels along each axis behind `layer`
  int behind(const Layer& layer) {
    field_ += (layer.kernel - 1) * step_;
    step_ *= layer.stride;
    return field_;
  }

 private:
  int field_ = 1;
  int step_ = 1;  // image pixels between neighbours
};

bool is_separable(const Block& block) {
  return !block.expand && !block.residual && !block.project.clamp.is_linear();
}

std::vector<SeparableCost> separable_costs(const Architecture& architecture,
                                           const std::vector<LayerShape>& shapes) {
  std::vector<SeparableCost> costs;
  if (!std::all_of(architecture.blocks.begin(), architecture.blocks.end(), is_separable)) return costs;
  for (std::size_t i = 0; i < architecture.blocks.size(); ++i) {
    const Block& block = architecture.blocks[i];
    const LayerShape& shape = shapes[1 + 2 * i];  // behind the stem, two layers a block
    SeparableCost cost{.name = "blocks." + std::to_string(i),
                       .kernel = block.depthwise.kernel,
                       .in_c = block.depthwise.in_c,
                       .out_c = block.project.out_c,
                       .out_h = shape.out_h,
                       .out_w = shape.out_w};
    const std::int64_t pixels = std::int64_t{cost.out_h} * cost.out_w;
    cost.depthwise = std::int64_t{cost.kernel} * cost.kernel * cost.in_c * pixels;
    cost.pointwise = std::int64_t{cost.in_c} * cost.out_c * pixels;
    costs.push_back(std::move(cost));
  }
  return costs;
}

/// Channels behind the stem and the blocks of MobileNetV1 (Howard et al. 2017, Table 1).
constexpr int kV1Channels[] = {32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024};
constexpr int kV1Side = 224;  // pixels

/// The roundest alpha for which floor(alpha * c) of every c above is the architecture's.
std::optional<double> width_multiplier(const Architecture& architecture) {
  if (architecture.blocks.size() + 1 != std::size(kV1Channels)) return std::nullopt;
  double low = 0;
  double high = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < std::size(kV1Channels); ++i) {
    const int channels = i == 0 ? architecture.stem.out_c : architecture.blocks[i - 1].project.out_c;
    low = std::max(low, static_cast<double>(channels) / kV1Channels[i]);
    high = std::min(high, static_cast<double>(channels + 1) / kV1Channels[i]);
  }
  for (const double scale : {1.0, 10.0, 100.0, 1000.0, 10000.0})
    if (const double alpha = std::ceil(low * scale) / scale; alpha < high) return alpha;
  return std::nullopt;
}

std::optional<Multipliers> multipliers(const Architecture& architecture, int input_h, int input_w) {
  const std::optional<double> alpha = width_multiplier(architecture);
  if (!alpha || input_h != input_w) return std::nullopt;
  return Multipliers{.alpha = *alpha, .rho = static_cast<double>(input_h) / kV1Side};
}

}  // namespace

SummaryRow Summary::total() const {
  SummaryRow total;
  for (const SummaryRow& row : rows) {
    total.parameters += row.parameters;
    total.shape.parameters += row.shape.parameters;
    total.shape.multiply_adds += row.shape.multiply_adds;
    total.shape.weight_bytes += row.shape.weight_bytes;
    total.shape.activation_bytes += row.shape.activation_bytes;
  }
  return total;
}

Summary summarize(const Model& model, int input_h, int input_w) {
  const Architecture& architecture = model.architecture();
  const std::vector<const Layer*> layers = architecture.layers();
  const std::vector<LayerShape> shapes = layer_shapes(architecture, input_h, input_w);
  Summary summary{
      .model = model.path().string(),
      .architecture = architecture.name,
      .source = model.source(),
      .input_h = input_h,
      .input_w = input_w,
      .classes = architecture.num_classes(),
      .output_activation =
          architecture.dense.empty() ? std::nullopt : std::optional(architecture.output_activation),
      .as_trained = std::all_of(layers.begin(), layers.end(),
                                [](const Layer* layer) { return layer->source_parameters.has_value(); }),
      .rows = {},
      .separable_costs = separable_costs(architecture, shapes),
      .multipliers = {}};
  if (!summary.separable_costs.empty()) summary.multipliers = multipliers(architecture, input_h, input_w);
  ReceptiveField field;
  const auto add_pool = [&](int channels) {
    LayerShape shape;
    if (!shapes.empty() && !summary.rows.empty()) {
      shape.in_h = summary.rows.back().shape.out_h;
      shape.in_w = summary.rows.back().shape.out_w;
    }
    summary.rows.push_back({.name = "pool", .type = "AdaptiveAvgPool2d", .out_c = channels, .shape = shape});
  };
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = *layers[i];
    const bool is_classifier = layer.kind == LayerKind::linear;
    if (is_classifier && layers[i - 1]->kind != LayerKind::linear) add_pool(architecture.embedding_size());
    const bool residual =
        std::any_of(architecture.blocks.begin(), architecture.blocks.end(),
                    [&](const Block& block) { return block.residual && &block.project == &layer; });
    summary.rows.push_back(
        {.name = layer.name,
         .type = type_of(layer, residual),
         .out_c = layer.out_c,
         .shape = shapes[i],
         .parameters = summary.as_trained ? *layer.source_parameters : shapes[i].parameters,
         .receptive_field = is_classifier ? std::nullopt : std::optional(field.behind(layer))});
  }
  if (architecture.dense.empty()) add_pool(architecture.embedding_size());
  return summary;
}

}  // namespace mnv2::app

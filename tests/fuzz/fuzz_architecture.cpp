// Any text as the architecture of a model. Where it describes a small network, that gets random weights and is run on
// every instruction set against plain loops: what the reader accepts, the planner, the packing and the kernels must be
// right for.
#include <algorithm>
#include <cmath>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "fuzz/fuzz.h"
#include "fuzz/memory_file.h"
#include "mnv2/isa.h"
#include "mnv2/network.h"
#include "model/file/architecture.h"
#include "support/model_builder.h"
#include "support/naive_network.h"

using mnv2::Architecture;
using mnv2::ErrorCode;
using mnv2::fuzz::require;

namespace {

/// Whether plain loops run it in milliseconds.
bool is_small(const Architecture& architecture, int h, int w) {
  constexpr std::int64_t kMaxMultiplyAdds = 400'000;
  std::int64_t total = 0, pixels = std::int64_t{h} * w;
  for (const mnv2::Layer* layer : architecture.layers()) {
    const std::int64_t inputs = layer->kind == mnv2::LayerKind::depthwise ? 1 : layer->in_c;
    total += pixels * inputs * layer->out_c * layer->kernel * layer->kernel;
    if (total > kMaxMultiplyAdds) return false;
  }
  return true;
}

/// Whether float32 can be expected to come close: activations whose bounds are neither huge nor tiny.
bool is_well_conditioned(const Architecture& architecture) {
  constexpr float kLargest = 100, kNarrowest = 0.01f;
  const std::vector<const mnv2::Layer*> layers = architecture.layers();
  return std::all_of(layers.begin(), layers.end(), [](const mnv2::Layer* layer) {
    const auto [min, max] = layer->clamp;
    return (std::isinf(min) || std::abs(min) <= kLargest) && (std::isinf(max) || std::abs(max) <= kLargest) &&
           max - min >= kNarrowest;
  });
}

std::vector<float> random_image(int h, int w) {
  std::mt19937 random(1);
  std::vector<float> image(std::size_t{3} * h * w);
  for (float& value : image) value = static_cast<float>(random() % 4096) / 1024.0f - 2.0f;
  return image;
}

/// The embedding and the logits.
mnv2::test::NaiveResult run(const mnv2::Network& network, const std::vector<float>& image) {
  mnv2::Workspace workspace(network);
  const mnv2::PlanarView view = workspace.input();
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < view.height; ++y)
      std::copy_n(image.begin() + (std::ptrdiff_t{c} * view.height + y) * view.width, view.width,
                  view.data + c * view.plane_stride + y * view.row_stride);
  std::vector<float> logits(network.num_outputs(), NAN);
  network.forward(workspace, logits);
  const std::span<const float> embedding = workspace.embedding();
  return {.logits = {logits.begin(), logits.end()}, .embedding = {embedding.begin(), embedding.end()}};
}

/// Whether each of `found` is close to that of `expected`, measured by the largest of these or by 1: random networks
/// amplify rounding.
bool is_close(const std::vector<double>& found, const std::vector<double>& expected) {
  constexpr double kTolerance = 1e-3;
  double largest = 1;
  for (const double value : expected) largest = std::max(largest, std::abs(value));
  return std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                    [&](double a, double b) { return std::abs(a - b) <= kTolerance * largest; });
}

void compare(const mnv2::Model& model, int h, int w) {
  const std::vector<float> image = random_image(h, w);
  const mnv2::test::NaiveResult expected = mnv2::test::run_naive(model, image, h, w);
  for (const mnv2::Isa isa : mnv2::supported_isas()) {
    const mnv2::test::NaiveResult found =
        run(mnv2::Network(model, {.isa = isa, .input_h = h, .input_w = w}), image);
    const bool close =
        is_close(found.logits, expected.logits) && is_close(found.embedding, expected.embedding);
    require(close || !is_well_conditioned(model.architecture()),
            "other results than plain loops' with " + std::string(mnv2::isa_name(isa)) + " at " +
                std::to_string(h) + " x " + std::to_string(w));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Architecture architecture;
  const bool is_architecture = mnv2::fuzz::succeeds({ErrorCode::invalid_model}, [&] {
    architecture =
        mnv2::model::parse_architecture(std::string_view(reinterpret_cast<const char*>(data), size));
  });
  if (!is_architecture) return 0;
  const int h = 1 + static_cast<int>(size % 31), w = 1 + static_cast<int>(size % 29);  // any size will do
  if (!is_small(architecture, h, w)) return 0;
  const std::string bytes = mnv2::test::serialize_model(architecture, {.resize = 32, .crop = 32});
  const mnv2::fuzz::MemoryFile file(bytes.data(), bytes.size());
  const mnv2::Model model = mnv2::Model::load(file.path());
  require(model.architecture() == architecture,
          "an architecture that changes when it is written and read again");
  compare(model, h, w);
  return 0;
}

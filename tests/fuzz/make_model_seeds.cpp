// make_model_seeds DIR: small valid inputs for fuzz_model (DIR/model) and fuzz_architecture (DIR/architecture).
#include <cstdio>
#include <exception>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/model_builder.h"

namespace fs = std::filesystem;
using namespace mnv2;
using namespace mnv2::test;

namespace {

std::vector<std::pair<std::string, Architecture>> architectures() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<std::pair<std::string, Architecture>> result = {
      {"tiny", tiny_architecture(3)},
      {"one_block", make_architecture(3, {{1, 2, 1}}, 4, 2)},
      {"single_channels", make_architecture(1, {{1, 1, 1}, {2, 1, 2}}, 1, 1)},
      {"no_expansion", make_architecture(4, {{1, 4, 1}, {1, 4, 1}, {1, 5, 2}, {1, 5, 1}}, 6, 3)},
      {"several_panels", make_architecture(5, {{6, 17, 2}, {3, 17, 1}}, 35, 70)},
  };
  Architecture clamps = make_architecture(3, {{2, 5, 1}}, 4, 2);
  clamps.stem.clamp = {-1.5f, kInfinity};
  clamps.blocks[0].expand->clamp = {};
  clamps.blocks[0].depthwise.clamp = {0, kInfinity};
  clamps.blocks[0].project.clamp = {-kInfinity, 2};
  result.emplace_back("clamps", clamps);
  Architecture features = tiny_architecture(3);
  features.dense.clear();
  result.emplace_back("no_classifier", features);
  Architecture binary = make_architecture(3, {{2, 5, 1}}, 4, 1);
  binary.output_activation = OutputActivation::sigmoid;
  result.emplace_back("binary", binary);
  Architecture deep = make_architecture(3, {{2, 5, 1}}, 4, 3);
  set_dense(deep, {{9, {0, 6}}, {130}, {3}});
  result.emplace_back("hidden_layers", deep);
  Architecture separable = make_separable_architecture(3, {{1, 5, 1}, {1, 18, 2}, {1, 18, 1}}, 2);
  result.emplace_back("separable", separable);
  separable.padding = Padding::same;
  result.emplace_back("same_padding", separable);
  return result;
}

void make_seeds(const fs::path& folder) {
  fs::create_directories(folder / "model");
  fs::create_directories(folder / "architecture");
  for (const auto& [name, architecture] : architectures()) {
    write_file(folder / "architecture" / name, architecture_json(architecture));
    write_file(folder / "model" / name, serialize_model(architecture, {.resize = 9, .crop = 8}));
  }
  write_file(folder / "model" / "labels",
             serialize_model(tiny_architecture(3), {.resize = 9, .crop = 8}, {"cat", "d\u00f6g", "\"\\\n"}));
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fputs("usage: make_model_seeds DIR\n", stderr);
    return 2;
  }
  make_seeds(argv[1]);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "make_model_seeds: %s\n", error.what());
  return 1;
}

// make_model: writes a complete model file with random weights, for command-line tests without Python or real
// weights.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "support/model_builder.h"

int main(int argc, char** argv) {
  CLI::App app{"Write a model file with random weights."};
  std::string output;
  int classes = 10;
  std::uint32_t seed = 1;
  bool with_labels = false;
  bool full = false;
  double alpha = 1.0;
  bool features = false;
  std::vector<int> hidden;
  std::optional<mnv2::OutputActivation> activation;
  mnv2::Preprocessing preprocessing{.resize = 36, .crop = 32};
  app.add_option("OUTPUT", output, "The .safetensors file to write")->required();
  app.add_option("--classes", classes, "How many classes")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--seed", seed, "Seed of the weights")->capture_default_str();
  app.add_option("--resize", preprocessing.resize, "Short side after resizing, pixels")
      ->capture_default_str();
  app.add_option("--crop", preprocessing.crop, "Side of the centre crop, pixels")->capture_default_str();
  app.add_option_function<std::string>(
      "--resize-form", [&](const std::string& name) { preprocessing.form = mnv2::parse_resize_form(name); },
      "Form of the preprocessing");
  app.add_option_function<std::string>(
      "--interpolation",
      [&](const std::string& name) { preprocessing.interpolation = mnv2::parse_interpolation(name); },
      "Filter of the resize");
  app.add_flag("--labels", with_labels, R"(Put labels "class 0", "class 1", ... into the file)");
  CLI::Option* full_flag = app.add_flag("--full", full, "MobileNetV2 1.0 instead of three small blocks");
  CLI::Option* v1_option = app.add_option("--v1", alpha, "MobileNetV1 with this width multiplier instead")
                               ->check(CLI::Range(0.03125, 4.0))
                               ->excludes(full_flag);
  app.add_option("--hidden", hidden, "Sizes of fully connected layers with ReLU6 before the last one");
  app.add_option_function<std::string>(
      "--output-activation",
      [&](const std::string& name) {
        for (const auto value :
             {mnv2::OutputActivation::softmax, mnv2::OutputActivation::sigmoid, mnv2::OutputActivation::none})
          if (name == output_activation_name(value)) activation = value;
      },
      "softmax, sigmoid or none");
  app.add_flag("--features", features, "Leave the classifier out")->excludes("--labels");
  CLI11_PARSE(app, argc, argv);

  auto architecture = full                      ? mnv2::test::mobilenet_v2_architecture(classes)
                      : v1_option->count() != 0 ? mnv2::test::mobilenet_v1_architecture(alpha, classes)
                                                : mnv2::test::tiny_architecture(classes);
  if (features) architecture.dense.clear();
  if (!hidden.empty()) {
    std::vector<mnv2::test::DenseSpec> layers;
    for (const int size : hidden) layers.push_back({size, {.min = 0, .max = 6}});
    layers.push_back({classes});
    set_dense(architecture, layers);
  }
  if (activation) architecture.output_activation = *activation;
  try {
    const auto labels =
        with_labels ? mnv2::test::numbered_labels(architecture.num_classes()) : std::vector<std::string>{};
    mnv2::test::write_file(output, mnv2::test::serialize_model(architecture, preprocessing, labels, seed));
  } catch (const std::exception& e) {
    std::cerr << "make_model: " << e.what() << '\n';
    return 1;
  }
}

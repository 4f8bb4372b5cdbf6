// From the network's outputs to classes, by each output activation.
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "mnv2/error.h"
#include "mnv2/network.h"
#include "support/catch.h"
#include "support/model_builder.h"

namespace {

using mnv2::Architecture;
using mnv2::OutputActivation;

Architecture architecture(int outputs, OutputActivation activation) {
  Architecture result = mnv2::test::tiny_architecture(outputs);
  result.output_activation = activation;
  return result;
}

std::vector<float> activated(const Architecture& architecture, std::vector<float> logits) {
  std::vector<float> classes(static_cast<std::size_t>(architecture.num_classes()), NAN);
  activate(architecture, logits, classes);
  // In place they are the same.
  logits.resize(classes.size());
  activate(architecture,
           std::span<const float>(logits).first(static_cast<std::size_t>(architecture.num_outputs())),
           logits);
  CHECK(logits == classes);
  return classes;
}

}  // namespace

TEST_CASE("classes are as many as outputs, but two by a sigmoid of one") {
  CHECK(architecture(1, OutputActivation::sigmoid).num_classes() == 2);
  CHECK(architecture(1, OutputActivation::sigmoid).num_outputs() == 1);
  CHECK(architecture(1, OutputActivation::sigmoid).is_binary());
  CHECK(architecture(1, OutputActivation::none).num_classes() == 1);
  CHECK(architecture(2, OutputActivation::sigmoid).num_classes() == 2);
  CHECK(!architecture(2, OutputActivation::sigmoid).is_binary());
  CHECK(architecture(7, OutputActivation::softmax).num_classes() == 7);
  Architecture features = mnv2::test::tiny_architecture(3);
  features.dense.clear();
  CHECK(features.num_outputs() == 0);
  CHECK(features.num_classes() == 0);
  CHECK(activated(features, {}).empty());
}

TEST_CASE("a softmax adds up to 1") {
  const std::vector<float> p = activated(architecture(3, OutputActivation::softmax), {1.0f, 3.0f, -2.0f});
  const double sum = std::exp(1.0) + std::exp(3.0) + std::exp(-2.0);
  CHECK(p == std::vector<float>{float(std::exp(1.0) / sum), float(std::exp(3.0) / sum),
                                float(std::exp(-2.0) / sum)});
}

TEST_CASE("sigmoids of several outputs are independent") {
  const std::vector<float> p =
      activated(architecture(4, OutputActivation::sigmoid), {0.0f, 2.0f, 2.0f, -30.0f});
  CHECK(p[0] == 0.5f);
  CHECK(p[1] == float(1 / (1 + std::exp(-2.0))));
  CHECK(p[2] == p[1]);
  CHECK(p[3] == float(std::exp(-30.0) / (1 + std::exp(-30.0))));
}

TEST_CASE("a sigmoid of one output is two classes, the second of which it is") {
  const Architecture binary = architecture(1, OutputActivation::sigmoid);
  CHECK(activated(binary, {0.0f}) == std::vector<float>{0.5f, 0.5f});
  std::vector<float> p = activated(binary, {3.0f});
  CHECK(p == std::vector<float>{float(1 / (1 + std::exp(3.0))), float(1 / (1 + std::exp(-3.0)))});
  p = activated(binary, {40.0f});  // 1 - p would be 0
  CHECK(p[0] == float(std::exp(-40.0)));
  CHECK(p[1] == 1.0f);
  const float most = std::numeric_limits<float>::max();
  CHECK(activated(binary, {-most}) == std::vector<float>{1.0f, 0.0f});
  CHECK(activated(binary, {most}) == std::vector<float>{0.0f, 1.0f});
}

TEST_CASE("without an activation the scores stay as they are") {
  const std::vector<float> scores{-7.5f, 1e30f, 0.0f};
  CHECK(activated(architecture(3, OutputActivation::none), scores) == scores);
}

TEST_CASE("spans of other sizes are refused") {
  const Architecture binary = architecture(1, OutputActivation::sigmoid);
  std::vector<float> one(1), two(2);
  const auto refusal = [&](std::span<const float> logits, std::span<float> classes) {
    try {
      activate(binary, logits, classes);
    } catch (const mnv2::Error& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  CHECK(refusal(one, two) == "none");
  CHECK(refusal(two, two) == "logits: 2, expected 1");
  CHECK(refusal(one, one) == "classes: 1, expected 2");
}

// From logits to classes.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "mnv2/error.h"
#include "mnv2/network.h"

namespace mnv2 {
namespace {

void check_size(const char* what, std::size_t size, int expected) {
  if (size == static_cast<std::size_t>(expected)) return;
  throw Error(ErrorCode::invalid_argument,
              std::string(what) + ": " + std::to_string(size) + ", expected " + std::to_string(expected));
}

float sigmoid(double logit) { return static_cast<float>(1.0 / (1.0 + std::exp(-logit))); }

}  // namespace

void softmax(std::span<const float> logits, std::span<float> probabilities) {
  if (logits.empty()) return;
  // The largest becomes exp(0): no overflow.
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> exponentials(logits.size());
  std::transform(logits.begin(), logits.end(), exponentials.begin(),
                 [&](float logit) { return std::exp(double{logit} - largest); });
  const double sum = std::accumulate(exponentials.begin(), exponentials.end(), 0.0);
  std::transform(exponentials.begin(), exponentials.end(), probabilities.begin(),
                 [&](double e) { return static_cast<float>(e / sum); });
}

void activate(const Architecture& architecture, std::span<const float> logits, std::span<float> classes) {
  check_size("logits", logits.size(), architecture.num_outputs());
  check_size("classes", classes.size(), architecture.num_classes());
  switch (architecture.output_activation) {
    case OutputActivation::softmax: return softmax(logits, classes);
    case OutputActivation::sigmoid:
      if (architecture.is_binary()) {
        const float logit = logits[0];
        classes[0] = sigmoid(-double{logit});  // not 1 - p, which has fewer digits when p is near 1
        classes[1] = sigmoid(logit);
        return;
      }
      std::transform(logits.begin(), logits.end(), classes.begin(), sigmoid);
      return;
    case OutputActivation::none: std::copy(logits.begin(), logits.end(), classes.begin()); return;
  }
}

std::vector<Prediction> top_k(std::span<const float> probabilities, int k) {
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  const std::size_t count = std::min(order.size(), static_cast<std::size_t>(std::max(k, 0)));
  std::partial_sort(
      order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](int a, int b) {
        return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
      });
  std::vector<Prediction> top;
  for (std::size_t i = 0; i < count; ++i) top.push_back({order[i], probabilities[order[i]]});
  return top;
}

}  // namespace mnv2

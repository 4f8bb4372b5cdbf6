// From logits to classes.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "mnv2/network.h"

namespace mnv2 {

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

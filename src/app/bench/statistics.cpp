#include "app/bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mnv2::app {

Statistics summarize(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto percentile = [&](double percent) {
    const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
    return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
  };
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return {values.size(),  values.front(), percentile(50), percentile(90),
          percentile(95), percentile(99), values.back(),  sum / static_cast<double>(values.size())};
}

bool is_steady(const Statistics& statistics) {
  constexpr double kMostSpread = 1.5;
  return statistics.p90 <= kMostSpread * statistics.p50;
}

double gflops(double multiply_adds, double ms) { return ms > 0 ? 2 * multiply_adds / (ms * 1e6) : 0; }

}  // namespace mnv2::app

// Figures of a benchmark.
#pragma once

#include <cstddef>
#include <vector>

namespace mnv2::app {

struct Statistics {
  std::size_t count = 0;
  double min = 0;
  double p50 = 0;
  double p90 = 0;
  double p95 = 0;
  double p99 = 0;
  double max = 0;
  double mean = 0;
};

/// Percentiles by nearest rank: each is one of the values. All zero for no values.
Statistics summarize(std::vector<double> values);

/// Whether the slowest tenth is near the rest: the 90th percentile at most 1.5 times the median.
bool is_steady(const Statistics& statistics);

/// Of `multiply_adds` in `ms`, a multiply-add being two operations; 0 for no time.
double gflops(double multiply_adds, double ms);

}  // namespace mnv2::app

// The report of --bench, as figures and as text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/statistics.h"
#include "app/writer.h"

namespace mnv2::app {

/// Times in milliseconds. Rates follow from them: see the functions.
struct BenchReport {
  std::string cpu;  // the processor's name
  std::string isa;
  int threads = 1;
  int affinity_cpus = 1;
  std::optional<double> quota_cpus;  // of control groups

  std::string model_path;
  std::string model_source;
  int classes = 0;
  int input_h = 0;  // pixels
  int input_w = 0;
  std::int64_t multiply_adds = 0;

  double load_ms = 0;
  double pack_ms = 0;
  double first_inference_ms = 0;
  std::size_t warmup_runs = 0;

  std::size_t images = 0;  // given and usable; 0: a made-up one, and no stages but inference
  Statistics read = {};
  Statistics decode = {};
  Statistics preprocess = {};
  Statistics inference = {};
  Statistics total = {};

  double peak_gflops_per_thread = 0;  // of a loop of fused multiply-adds, measured in between
  std::uint64_t peak_rss_bytes = 0;

  /// At the median time; a multiply-add is two operations.
  double gflops() const;
  /// gflops() in percent of what all threads could do.
  double percent_of_peak() const;
};

/// Layout::text gives text, json_lines one line of JSON, the others indented JSON.
std::string format_report(const BenchReport& report, Layout layout);

}  // namespace mnv2::app

// The report of --bench, as figures, as text and as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/base/layout.h"
#include "app/bench/measure.h"
#include "app/bench/statistics.h"
#include "app/bench/throughput.h"
#include "mnv2/layer_shapes.h"

namespace mnv2::app {

/// Times are in milliseconds. A multiply-add is two operations.
struct LayerReport {
  std::string name;
  std::string kind;
  int out_c = 0;
  LayerShape shape;
  double ms = 0;  // median
  double gflops = 0;
  double percent_of_peak = 0;  // median over the rounds
};

/// One setting.
struct RowReport {
  BenchSetting setting;
  std::size_t warmup_runs = 0;
  double warmup_ms = 0;
  bool warmed_up = true;  // times no longer moved before measuring began

  Statistics read = {};  // of single images; all zero but inference and total for a made-up one
  Statistics decode = {};
  Statistics preprocess = {};
  Statistics inference = {};
  Statistics total = {};
  Statistics batch = {};  // of whole batches, from the first image's start to the last one's end

  double images_per_second = 0;  // what came out
  double gflops = 0;             // of all images under way together, at the median time
  double percent_of_peak = 0;    // median over the rounds
  double peak_gflops = 0;        // of all busy threads together, median over the rounds
  std::vector<Round> rounds = {};
  std::vector<LayerReport> layers = {};

  /// False when something else disturbed the measurement, on whatever machine: then numbers of another run differ.
  bool steady() const { return warmed_up && is_steady(inference); }
};

/// Two measurements of the same thing.
struct Ratio {
  double earlier = 0;
  double now = 0;
  double value() const { return now / earlier; }
};

struct RowComparison {
  BenchSetting setting;
  Ratio inference_p50_ms;
  Ratio percent_of_peak;
  struct LayerRatio {
    std::string name;
    Ratio ms;
  };
  std::vector<LayerRatio> layers = {};  // those that both have
};

struct Comparison {
  std::string file;
  std::string version;  // that wrote it
  Ratio load_ms;
  Ratio pack_ms;
  Ratio first_inference_ms;
  std::vector<RowComparison> rows = {};  // those that both have; the first one always
  std::vector<std::string> differences =
      {};  // what makes the ratios say something else, e.g. "isa: avx2, was avx512"
};

struct BenchReport {
  std::string version;
  std::string cpu;  // the processor's name
  std::string isa;
  std::string precision;
  int affinity_cpus = 1;
  std::optional<double> quota_cpus = {};  // of control groups

  std::string model_path;
  std::string model_source;
  int classes = 0;
  int input_h = 0;  // pixels
  int input_w = 0;
  std::int64_t multiply_adds = 0;

  double load_ms = 0;
  double pack_ms = 0;
  double first_inference_ms = 0;

  std::size_t images = 0;            // given and usable; 0: a made-up one, and no stages but inference
  std::vector<RowReport> rows = {};  // at least one
  std::optional<Throughput> throughput = {};  // of a run over many images
  std::uint64_t peak_rss_bytes = 0;
  std::optional<Comparison> comparison = {};
};

/// The figures of `samples`. @param images given and usable, or 0
RowReport summarize_row(const BenchSetting& setting, const Samples& samples, const Network& network,
                        std::size_t images);

/// Layout::text gives text, json_lines one line of JSON, the others indented JSON.
std::string format_report(const BenchReport& report, Layout layout);

std::string report_to_json(const BenchReport& report, bool indented);
std::string report_to_text(const BenchReport& report);

}  // namespace mnv2::app

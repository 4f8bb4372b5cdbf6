#include "app/bench/bench.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "app/base/log.h"
#include "app/base/signals.h"
#include "app/bench/compare.h"
#include "app/bench/machine.h"
#include "app/bench/measure.h"
#include "app/bench/report.h"
#include "app/bench/throughput.h"
#include "app/inputs/make_inputs.h"
#include "mnv2/version.h"

namespace mnv2::app {
namespace {

BenchReport describe(const Engine& engine, const Bench& plan) {
  const Network& network = engine.network();
  return {.version = MNV2_VERSION_STRING,
          .cpu = cpu_name(),
          .isa = std::string(isa_name(network.isa())),
          .precision = std::string(precision_name(network.precision())),
          .affinity_cpus = plan.affinity_cpus,
          .quota_cpus = plan.quota_cpus,
          .model_path = network.model().path().string(),
          .model_source = network.model().source(),
          .classes = network.num_classes(),
          .input_h = network.input_h(),
          .input_w = network.input_w(),
          .multiply_adds = network.multiply_adds(),
          .load_ms = engine.load_ms,
          .pack_ms = engine.pack_ms};
}

/// Round by round: what the machine does meanwhile (its clock, other programs) meets all settings alike.
void measure_in_turn(std::deque<Sampler>& samplers) {
  const auto done = [](const Sampler& sampler) { return sampler.enough() || stop_signal() != 0; };
  while (!std::all_of(samplers.begin(), samplers.end(), done))
    for (Sampler& sampler : samplers)
      if (!done(sampler)) sampler.run_round(samplers.size() > 1);
}

}  // namespace

PipelineResult run_bench(const Engine& engine, const Bench& plan, Output& output) {
  std::optional<BenchReport> earlier;
  if (plan.compare) earlier = read_report(*plan.compare);

  std::optional<ImageList> images;
  if (!plan.inputs.named.empty()) images.emplace(*make_inputs(plan.inputs));
  const auto result = [&] {
    PipelineResult so_far{.records = 1, .signal = stop_signal()};
    if (!images) return so_far;
    so_far.records = images->usable() + images->failed();
    so_far.failed = images->failed();
    return so_far;
  };

  BenchReport report = describe(engine, plan);
  std::deque<Sampler> samplers;
  for (const BenchSetting& setting : plan.settings)
    samplers.emplace_back(engine, plan, setting, images ? &*images : nullptr);
  const std::optional<double> first = samplers.front().first_inference_ms();
  if (!first) {
    PipelineResult none = result();
    if (none.signal == 0) log_error("--bench: none of the inputs could be classified");
    none.failed = std::max(none.failed, std::size_t{1});  // also where there was none
    return none;
  }
  report.first_inference_ms = *first;
  for (Sampler& sampler : samplers) sampler.warm_up();
  measure_in_turn(samplers);
  std::optional<Throughput> throughput;
  if (images && plan.many_images) throughput = measure_throughput(engine, plan, *images);
  PipelineResult measured = result();
  if (measured.signal != 0) return measured;

  report.images = images ? images->usable() : 0;
  for (const Sampler& sampler : samplers)
    report.rows.push_back(
        summarize_row(sampler.setting(), sampler.samples(), engine.network(), report.images));
  if (throughput && !throughput->rounds.empty()) report.throughput = std::move(throughput);
  report.peak_rss_bytes = peak_rss_bytes();
  if (earlier) {
    report.comparison = compare(report, *earlier, *plan.compare);
    for (const std::string& difference : report.comparison->differences)
      log_warning("--compare: not alike: " + difference);
  }
  output.write(format_report(report, plan.pipeline.layout));
  measured.complete = true;
  return measured;
}

}  // namespace mnv2::app

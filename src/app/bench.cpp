#include "app/bench.h"

#include <sys/resource.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/classifier.h"
#include "app/inputs.h"
#include "app/log.h"
#include "app/report.h"
#include "app/signals.h"
#include "app/statistics.h"
#include "app/stopwatch.h"
#include "mnv2/benchmark.h"

namespace mnv2::app {
namespace {

/// Takes one image through the stages; nothing when there is no image left to take.
using RunOnce = std::function<std::optional<Timings>()>;

/// The network alone, on a picture of noise that is the same everywhere.
class MadeUpImage {
 public:
  MadeUpImage(const Engine& engine, int threads)
      : network_(engine.network),
        workspace_(network_, threads),
        logits_(static_cast<std::size_t>(network_.num_classes())) {
    constexpr int kSide = 256;
    std::vector<std::uint8_t> pixels(std::size_t{3} * kSide * kSide);
    std::uint32_t state = 1;
    for (std::uint8_t& value : pixels) {
      state = state * 1664525u + 1013904223u;  // Numerical Recipes' linear congruential generator
      value = static_cast<std::uint8_t>(state >> 24);
    }
    Preprocessor::Scratch scratch;
    engine.preprocessor({.data = pixels.data(), .width = kSide, .height = kSide, .row_bytes = 3 * kSide},
                        scratch, workspace_.input());
  }

  std::optional<Timings> run() {
    const Stopwatch stopwatch;
    network_.forward(workspace_, logits_);
    return Timings{.inference_ms = stopwatch.elapsed_ms()};
  }

 private:
  const Network& network_;
  Workspace workspace_;
  std::vector<float> logits_;
};

/// The images given, in turn, again and again. Those that cannot be classified are left out after their first
/// turn.
class GivenImages {
 public:
  GivenImages(const Engine& engine, const Plan& plan) : classifier_(engine, plan, plan.threads) {
    InputWalker walker(plan.inputs, [](const std::string& message) { log_warning(message); });
    while (std::optional<Input> input = walker.next()) inputs_.push_back(std::move(*input));
  }

  std::optional<Timings> run() {
    while (!inputs_.empty()) {
      if (next_ >= inputs_.size()) next_ = 0;
      const Record record = classifier_.classify(inputs_[next_]);
      if (!record.error) {
        ++next_;
        return record.timings;
      }
      log_failed_input(record.path + ": " + record.error->message);
      ++failed_;
      inputs_.erase(inputs_.begin() + static_cast<std::ptrdiff_t>(next_));
    }
    return std::nullopt;
  }

  std::size_t size() const { return inputs_.size(); }
  std::size_t failed() const { return failed_; }

 private:
  Classifier classifier_;
  std::vector<Input> inputs_;
  std::size_t next_ = 0;
  std::size_t failed_ = 0;
};

/// Runs until rounds no longer get faster: caches, page tables, clock. @return runs done
std::size_t warm_up(const RunOnce& run_once, double max_ms) {
  constexpr std::size_t kRound = 10;
  constexpr double kStillFaster = 0.98;
  std::size_t runs = 0;
  double best = 0;
  int steady_rounds = 0;
  const Stopwatch stopwatch;
  while (steady_rounds < 2 && stopwatch.elapsed_ms() < max_ms) {
    std::vector<double> round;
    for (std::size_t i = 0; i < kRound && stop_signal() == 0; ++i) {
      const std::optional<Timings> timings = run_once();
      if (!timings) return runs;
      round.push_back(timings->inference_ms);
    }
    runs += round.size();
    if (round.size() < kRound) return runs;
    const double median = summarize(round).p50;
    steady_rounds = best > 0 && median > kStillFaster * best ? steady_rounds + 1 : 0;
    best = best > 0 ? std::min(best, median) : median;
  }
  return runs;
}

struct Samples {
  std::vector<Timings> runs;
  std::vector<double> peak_gflops;  // of the FMA loop, on one thread
};

/// Measures for about `seconds`, longer if that gives fewer than 100 runs. The FMA loop comes in between, so
/// that both see the same clock on a machine whose clock moves.
Samples measure(const RunOnce& run_once, Isa isa, double seconds) {
  constexpr std::size_t kEnoughRuns = 100;
  constexpr double kPatience = 5;  // times `seconds`, for slow machines
  constexpr double kSliceMs = 50;
  constexpr double kPeakMs = 4;
  Samples samples;
  const Stopwatch stopwatch;
  const auto enough = [&] {
    const double elapsed = stopwatch.elapsed_ms() / 1000;
    return elapsed >= seconds && (samples.runs.size() >= kEnoughRuns || elapsed >= kPatience * seconds);
  };
  while (!enough() && stop_signal() == 0) {
    const FmaPeak peak = measure_fma_peak(isa, kPeakMs);
    samples.peak_gflops.push_back(peak.flops / peak.seconds / 1e9);
    const Stopwatch slice;
    do {
      const std::optional<Timings> timings = run_once();
      if (!timings) return samples;
      samples.runs.push_back(*timings);
    } while (slice.elapsed_ms() < kSliceMs && stop_signal() == 0);
  }
  return samples;
}

template <typename Field>
Statistics summarize_stage(const std::vector<Timings>& runs, Field field) {
  std::vector<double> values;
  for (const Timings& timings : runs) values.push_back(field(timings));
  return summarize(std::move(values));
}

std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

std::uint64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

BenchReport describe(const Engine& engine, const Plan& plan) {
  const Network& network = engine.network;
  return {.cpu = cpu_name(),
          .isa = std::string(isa_name(network.isa())),
          .threads = plan.threads,
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

void add_samples(BenchReport& report, const Samples& samples) {
  report.read = summarize_stage(samples.runs, [](const Timings& t) { return t.read_ms; });
  report.decode = summarize_stage(samples.runs, [](const Timings& t) { return t.decode_ms; });
  report.preprocess = summarize_stage(samples.runs, [](const Timings& t) { return t.preprocess_ms; });
  report.inference = summarize_stage(samples.runs, [](const Timings& t) { return t.inference_ms; });
  report.total = summarize_stage(samples.runs, [](const Timings& t) {
    return t.read_ms + t.decode_ms + t.preprocess_ms + t.inference_ms;
  });
  report.peak_gflops_per_thread = summarize(samples.peak_gflops).p50;
  report.peak_rss_bytes = peak_rss_bytes();
}

}  // namespace

PipelineResult run_bench(const Engine& engine, const Plan& plan, Output& output) {
  std::optional<MadeUpImage> made_up;
  std::optional<GivenImages> given;
  RunOnce run_once;
  if (plan.inputs.empty()) {
    made_up.emplace(engine, plan.threads);
    run_once = [&] { return made_up->run(); };
  } else {
    given.emplace(engine, plan);
    run_once = [&] { return given->run(); };
  }
  const auto result = [&] {
    return PipelineResult{.records = given ? given->size() : 1, .failed = given ? given->failed() : 0};
  };

  BenchReport report = describe(engine, plan);
  const std::optional<Timings> first = run_once();
  if (!first) {
    log_error("--bench: none of the inputs could be classified");
    return result();
  }
  report.first_inference_ms = first->inference_ms;
  report.warmup_runs = warm_up(run_once, 1000 * plan.bench_seconds);
  const Samples samples = measure(run_once, engine.network.isa(), plan.bench_seconds);
  if (stop_signal() != 0) return result();
  report.images = given ? given->size() : 0;
  add_samples(report, samples);
  output.write(format_report(report, plan.layout));
  return result();
}

}  // namespace mnv2::app

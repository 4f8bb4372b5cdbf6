#include "app/bench/throughput.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "app/base/signals.h"
#include "app/base/stopwatch.h"
#include "app/bench/statistics.h"
#include "app/pipeline/pipeline.h"
#include "app/results/sink.h"

namespace mnv2::app {
namespace {

/// Some images, several times over. The clock starts when the first is asked for.
class Repeated : public InputSource {
 public:
  Repeated(const std::vector<Input>& images, int times) : images_(images), left_(images.size() * times) {}

  std::optional<Input> next() override {
    if (!clock_) clock_.emplace();
    if (left_ == 0) return std::nullopt;
    return images_[--left_ % images_.size()];
  }

  double elapsed_ms() const { return clock_->elapsed_ms(); }

 private:
  const std::vector<Input>& images_;
  std::size_t left_;
  std::optional<Stopwatch> clock_;
};

/// Wants records as text, as a run does, and only stops the clock.
class Discard : public Sink {
 public:
  Discard(const Repeated& source, double& run_ms) : source_(source), run_ms_(run_ms) {}

  Needs needs() const override { return {.text = true}; }
  void take(const Result&) override {}
  void finish(Ending) override { run_ms_ = source_.elapsed_ms(); }

 private:
  const Repeated& source_;
  double& run_ms_;
};

/// Takes images one by one for some time. @return their time, and in `done` which they were
double run_one_by_one(Classifier& classifier, ImageList& images, double slice_ms, std::vector<Input>& done) {
  double sum_ms = 0;
  const Stopwatch slice;
  while ((done.empty() || slice.elapsed_ms() < slice_ms) && stop_signal() == 0) {
    const Input* input = images.take();
    if (input == nullptr) break;
    const Record record = classifier.classify(*input).record;
    if (record.error) {
      images.drop(*input, record);
      continue;
    }
    sum_ms += record.timings->decode_ms + record.timings->preprocess_ms + record.timings->inference_ms;
    done.push_back(*input);
  }
  return sum_ms;
}

template <typename Field>
double median(const std::vector<ThroughputRound>& rounds, Field field) {
  std::vector<double> values;
  values.reserve(rounds.size());
  for (const ThroughputRound& round : rounds) values.push_back(field(round));
  return summarize(std::move(values)).p50;
}

}  // namespace

double Throughput::one_core_ms() const {
  return median(rounds, [](const ThroughputRound& round) { return round.one_core_ms; });
}

double Throughput::images_per_second() const {
  return median(rounds, [](const ThroughputRound& round) { return round.images_per_second; });
}

double Throughput::bound() const {
  return median(rounds, [&](const ThroughputRound& round) { return bound(round); });
}

double Throughput::percent_of_bound() const {
  return median(rounds,
                [&](const ThroughputRound& round) { return 100 * round.images_per_second / bound(round); });
}

Throughput measure_throughput(const Engine& engine, const Bench& plan, ImageList& images) {
  constexpr std::size_t kLeastRounds = 3;
  const double slice_ms = std::clamp(1000 * plan.seconds / 8, 5.0, 500.0);
  PipelinePlan run_plan = plan.pipeline;
  run_plan.threads = run_plan.images_at_once = plan.settings.front().threads;
  Throughput result{.threads = run_plan.threads, .cores = std::min(run_plan.threads, plan.affinity_cpus)};
  ImageMemory memory(1);
  Classifier one_core(engine, run_plan.classifier, 1, memory);
  const Stopwatch stopwatch;
  while (result.rounds.size() < kLeastRounds || stopwatch.elapsed_ms() < 1000 * plan.seconds) {
    std::vector<Input> done;
    const double one_by_one_ms = run_one_by_one(one_core, images, slice_ms, done);
    if (done.empty() || stop_signal() != 0) return {};
    Repeated source(done, run_plan.threads);
    double run_ms = 0;
    std::vector<std::unique_ptr<Sink>> sinks;
    sinks.push_back(std::make_unique<Discard>(source, run_ms));
    const std::size_t records = classify_all(engine, run_plan, source, sinks).records;
    if (stop_signal() != 0) return {};
    result.images += records;
    result.rounds.push_back({.one_core_ms = one_by_one_ms / static_cast<double>(done.size()),
                             .images_per_second = 1000 * static_cast<double>(records) / run_ms});
  }
  return result;
}

}  // namespace mnv2::app

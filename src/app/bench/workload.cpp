#include "app/bench/workload.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <numeric>
#include <utility>

#include "app/base/log.h"
#include "app/base/signals.h"
#include "app/base/stopwatch.h"
#include "mnv2/benchmark.h"

namespace mnv2::app {

MadeUpImage::MadeUpImage(const Engine& engine, int threads)
    : network_(engine.network()),
      workspace_(network_, threads),
      logits_(static_cast<std::size_t>(network_.num_outputs())) {
  constexpr int kSide = 256;
  std::vector<std::uint8_t> pixels(std::size_t{3} * kSide * kSide);
  std::uint32_t state = 1;
  for (std::uint8_t& value : pixels) {
    state = state * 1664525u + 1013904223u;  // Numerical Recipes' linear congruential generator
    value = static_cast<std::uint8_t>(state >> 24);
  }
  Preprocessor::Scratch scratch;
  engine.preprocessor()({.data = pixels.data(), .width = kSide, .height = kSide, .row_bytes = 3 * kSide},
                        scratch, workspace_.input());
}

Timings MadeUpImage::run() {
  const Stopwatch stopwatch;
  network_.forward(workspace_, logits_);
  return {.inference_ms = stopwatch.elapsed_ms()};
}

void MadeUpImage::run_timed(std::span<double> layer_seconds) {
  network_.forward_timed(workspace_, logits_, layer_seconds);
}

ImageList::ImageList(InputSource& source) {
  while (std::optional<Input> input = source.next())
    if (load_content(*input)) inputs_.push_back(std::move(*input));
  for (const Input& input : inputs_) usable_.push_back(&input);
}

const Input* ImageList::take() {
  const std::scoped_lock lock(mutex_);
  if (usable_.empty()) return nullptr;
  if (next_ >= usable_.size()) next_ = 0;
  return usable_[next_++];
}

void ImageList::drop(const Input& input, const Record& record) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::find(usable_.begin(), usable_.end(), &input);
  if (found == usable_.end()) return;  // by another worker, meanwhile
  if (found - usable_.begin() < static_cast<std::ptrdiff_t>(next_)) --next_;
  usable_.erase(found);
  log_failed_input(record.path + ": " + record.error->message);
}

Workload::Workload(const Engine& engine, const ClassifierPlan& plan, const BenchSetting& setting,
                   ImageList* images)
    : isa_(engine.network().isa()),
      precision_(engine.network().precision()),
      setting_(setting),
      images_(images),
      memory_(setting.images_at_once()),
      crew_(setting.busy_threads()) {
  workers_.reserve(static_cast<std::size_t>(setting.images_at_once()));
  for (int i = 0; i < setting.images_at_once(); ++i) {
    if (images == nullptr)
      workers_.emplace_back(std::in_place_type<MadeUpImage>, engine, setting.threads_per_image());
    else
      workers_.emplace_back(std::in_place_type<Classifier>, engine, plan, setting.threads_per_image(),
                            memory_);
  }
}

std::optional<Timings> Workload::run_image(std::size_t worker) {
  if (images_ == nullptr) return std::get<MadeUpImage>(workers_[worker]).run();
  while (const Input* input = images_->take()) {
    const Record record = std::get<Classifier>(workers_[worker]).classify(*input).record;
    if (!record.error) return record.timings;
    images_->drop(*input, record);
  }
  return std::nullopt;
}

std::optional<Turn> Workload::run() {
  Turn turn;
  turn.images.resize(static_cast<std::size_t>(setting_.batch));
  std::atomic<std::size_t> next = 0;
  std::atomic<bool> none_left = false;
  const auto work = [&](int worker) {
    for (std::size_t i; (i = next++) < turn.images.size() && stop_signal() == 0;) {
      const std::optional<Timings> timings = run_image(static_cast<std::size_t>(worker));
      if (!timings) {
        none_left = true;
        return;
      }
      turn.images[i] = *timings;
    }
  };
  const Stopwatch stopwatch;
  if (setting_.images_at_once() == 1)
    work(0);
  else
    crew_.run(work);
  turn.wall_ms = stopwatch.elapsed_ms();
  if (none_left) return std::nullopt;
  return turn;
}

double Workload::measure_peak_gflops() {
  // The clock hardly moves within milliseconds; what else dips is another program's turn on this CPU, and
  // that says nothing about what the machine can do. So each thread's best slice counts.
  constexpr int kSlices = 8;
  constexpr double kSliceMs = 0.5;
  std::vector<double> gflops(static_cast<std::size_t>(crew_.size()), 0.0);
  crew_.run([&](int thread) {
    double& best = gflops[static_cast<std::size_t>(thread)];
    for (int i = 0; i < kSlices; ++i) {
      const Peak peak = measure_peak(isa_, precision_, kSliceMs);
      best = std::max(best, peak.operations / peak.seconds / 1e9);
    }
  });
  return std::accumulate(gflops.begin(), gflops.end(), 0.0);
}

}  // namespace mnv2::app

#include "app/bench/measure.h"

#include <algorithm>
#include <cmath>

#include "app/base/signals.h"
#include "app/base/stopwatch.h"
#include "app/bench/statistics.h"
#include "mnv2/layer_shapes.h"

namespace mnv2::app {
namespace {

std::vector<double> inference_ms(const std::vector<Timings>& images, std::size_t from) {
  std::vector<double> ms;
  for (std::size_t i = from; i < images.size(); ++i) ms.push_back(images[i].inference_ms);
  return ms;
}

}  // namespace

Sampler::Sampler(const Engine& engine, const Bench& plan, const BenchSetting& setting, ImageList* images)
    : plan_(plan),
      setting_(setting),
      workload_(engine, plan.pipeline.classifier, setting, images),
      multiply_adds_(static_cast<double>(engine.network().multiply_adds())) {
  if (!plan.per_layer || setting.batch != 1) return;
  const Network& network = engine.network();
  for (const LayerShape& shape :
       layer_shapes(network.model().architecture(), network.input_h(), network.input_w()))
    layer_multiply_adds_.push_back(static_cast<double>(shape.multiply_adds));
  layers_image_.emplace(engine, setting.threads);
  samples_.layers.resize(layer_multiply_adds_.size());
}

std::optional<double> Sampler::first_inference_ms() {
  const std::optional<Turn> turn = workload_.run();
  if (!turn) return std::nullopt;
  return turn->images.front().inference_ms;
}

void Sampler::warm_up() {
  constexpr double kMaxMs = 3000;
  constexpr double kWindowMs = 30;
  constexpr std::size_t kWindowRuns = 5;
  constexpr double kSteady = 0.05;
  // Measuring for a moment only does not call for a long warm-up.
  const double max_ms = std::min(kMaxMs, 1500 * plan_.seconds);
  const Stopwatch stopwatch;
  double last_median = 0;
  int steady_windows = 0;
  while (steady_windows < 2 && stopwatch.elapsed_ms() < max_ms && stop_signal() == 0) {
    std::vector<double> window;
    const Stopwatch window_stopwatch;
    while ((window.size() < kWindowRuns || window_stopwatch.elapsed_ms() < kWindowMs) && stop_signal() == 0 &&
           stopwatch.elapsed_ms() < max_ms) {
      const std::optional<Turn> turn = workload_.run();
      if (!turn) {
        exhausted_ = true;
        return;
      }
      for (const double ms : inference_ms(turn->images, 0)) window.push_back(ms);
      ++samples_.warmup_runs;
    }
    const double median = summarize(window).p50;
    const bool steady = last_median > 0 && std::abs(median - last_median) <= kSteady * last_median;
    steady_windows = steady ? steady_windows + 1 : 0;
    last_median = median;
  }
  samples_.warmup_ms = stopwatch.elapsed_ms();
  samples_.steady = steady_windows == 2;
}

bool Sampler::enough() const {
  constexpr std::size_t kEnoughImages = 100;
  constexpr double kPatience = 5;  // for slow machines
  const double seconds = measured_ms_ / 1000;
  return exhausted_ || (seconds >= plan_.seconds &&
                        (samples_.images.size() >= kEnoughImages || seconds >= kPatience * plan_.seconds));
}

void Sampler::wake_up() {
  constexpr double kMs = 20;
  for (const Stopwatch stopwatch; !exhausted_ && stopwatch.elapsed_ms() < kMs && stop_signal() == 0;)
    exhausted_ = !workload_.run();
}

void Sampler::run_round(bool after_others) {
  if (after_others) wake_up();
  if (exhausted_) return;
  // Short enough that the clock is still what it was beside the peak, and that a short measurement has some
  // rounds.
  const double slice_ms = std::clamp(1000 * plan_.seconds / 8, 5.0, 50.0);
  Round round{.peak_gflops = workload_.measure_peak_gflops()};
  const std::size_t before = samples_.images.size();
  const Stopwatch slice;
  do {
    const std::optional<Turn> turn = workload_.run();
    if (!turn) {
      exhausted_ = true;
      return;
    }
    samples_.images.insert(samples_.images.end(), turn->images.begin(), turn->images.end());
    samples_.turn_ms.push_back(turn->wall_ms);
  } while (slice.elapsed_ms() < slice_ms && stop_signal() == 0);
  measured_ms_ += slice.elapsed_ms();
  round.gflops = gflops(setting_.images_at_once() * multiply_adds_,
                        summarize(inference_ms(samples_.images, before)).p50);
  samples_.rounds.push_back(round);
  if (layers_image_) run_layers_round(round.peak_gflops, slice_ms / 2);
}

void Sampler::run_layers_round(double peak_gflops, double slice_ms) {
  const std::size_t layers = layer_multiply_adds_.size();
  const std::size_t before = samples_.layers.front().ms.size();
  const Stopwatch slice;
  do {
    std::vector<double> seconds(layers, 0.0);
    layers_image_->run_timed(seconds);
    for (std::size_t i = 0; i < layers; ++i) samples_.layers[i].ms.push_back(1000 * seconds[i]);
  } while (slice.elapsed_ms() < slice_ms && stop_signal() == 0);
  for (std::size_t i = 0; i < layers; ++i) {
    LayerSamples& layer = samples_.layers[i];
    const double ms = summarize({layer.ms.begin() + static_cast<std::ptrdiff_t>(before), layer.ms.end()}).p50;
    layer.percent_of_peak.push_back(100 * gflops(layer_multiply_adds_[i], ms) / peak_gflops);
  }
}

}  // namespace mnv2::app

// How --bench takes its samples: warm up, then round by round.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "app/bench/workload.h"

namespace mnv2::app {

/// Some tens of milliseconds of runs, and what the machine could do right before them.
struct Round {
  double peak_gflops = 0;  // of all busy threads together
  double gflops = 0;       // of the round's median inference
};

struct LayerSamples {
  std::vector<double> ms;               // [runs]
  std::vector<double> percent_of_peak;  // [rounds]
};

struct Samples {
  std::size_t warmup_runs = 0;
  double warmup_ms = 0;
  bool steady = false;  // the warm-up ended because times no longer moved
  std::vector<Timings> images;
  std::vector<double> turn_ms;  // of the images or batches
  std::vector<Round> rounds;
  std::vector<LayerSamples> layers = {};  // [layers of the network], or empty
};

/// Takes the samples of one setting. Several take turns, round by round, so that all see the same machine.
class Sampler {
 public:
  Sampler(const Engine& engine, const Bench& plan, const BenchSetting& setting, ImageList* images);

  /// The time of the very first inference, or nothing when no image is left; the same for the others.
  std::optional<double> first_inference_ms();
  /// Runs until the medians of two windows in a row are within 5 % of the one before: caches, page tables,
  /// clock. At most 3 s.
  void warm_up();
  /// @param after_others whether other settings had their turns since this one's last.
  void run_round(bool after_others);
  /// Whether it has been measured for plan.seconds, longer if that gave fewer than 100 images.
  bool enough() const;

  const BenchSetting& setting() const { return setting_; }
  const Samples& samples() const { return samples_; }

 private:
  /// A core that others left without work takes some 10 ms to reach its clock.
  void wake_up();
  void run_layers_round(double peak_gflops, double slice_ms);

  const Bench& plan_;
  BenchSetting setting_;
  Workload workload_;
  double multiply_adds_;
  std::vector<double> layer_multiply_adds_;  // empty: layers are not asked for
  std::optional<MadeUpImage> layers_image_;  // what is in an image makes no difference to the layers' times
  double measured_ms_ = 0;
  bool exhausted_ = false;  // no image is left
  Samples samples_;
};

}  // namespace mnv2::app

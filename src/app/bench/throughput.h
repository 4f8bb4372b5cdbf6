// How close a run over many images comes to what its parts allow.
#pragma once

#include <cstddef>
#include <vector>

#include "app/bench/bench_plan.h"
#include "app/bench/workload.h"
#include "app/models/engine.h"

namespace mnv2::app {

/// The same images, right after each other: one by one on one thread, then through the pipeline.
struct ThroughputRound {
  double one_core_ms = 0;        // decode + preprocess + inference of an image on one core, mean
  double images_per_second = 0;  // of the pipeline
};

struct Throughput {
  int threads = 1;
  int cores = 1;           // that the threads can be on at once
  std::size_t images = 0;  // that the pipeline classified, repeated ones too
  std::vector<ThroughputRound> rounds = {};

  double bound(const ThroughputRound& round) const { return 1000 * cores / round.one_core_ms; }  // images/s
  /// Medians of the rounds.
  double one_core_ms() const;
  double images_per_second() const;
  double bound() const;
  double percent_of_bound() const;
};

/// Runs rounds for plan.seconds, at least three, with the threads of the first setting. Nothing in
/// `rounds` when no image is left or a signal asks to stop.
Throughput measure_throughput(const Engine& engine, const Bench& plan, ImageList& images);

}  // namespace mnv2::app

// The plan of --bench.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "app/inputs/make_inputs.h"
#include "app/models/engine.h"
#include "app/pipeline/pipeline.h"
#include "app/results/output_plan.h"

namespace mnv2::app {

/// What a row of --bench's table measures.
struct BenchSetting {
  int threads = 1;
  /// 1: the threads share the work on one image. More: so many images in a row, as those of a folder are:
  /// each thread takes one at a time.
  int batch = 1;

  /// How many images are under way at once, each on threads_per_image().
  int images_at_once() const { return batch == 1 ? 1 : std::min(threads, batch); }
  int threads_per_image() const { return batch == 1 ? threads : 1; }
  int busy_threads() const { return images_at_once() * threads_per_image(); }
  bool operator==(const BenchSetting&) const = default;
};

struct Bench {
  InputPlan inputs;  // empty: a made-up image
  bool many_images = false;
  ModelPlan model;
  PipelinePlan pipeline;  // of the run over many images
  OutputPlan outputs;

  std::vector<BenchSetting> settings = {};  // not empty
  double seconds = 2;                       // for each of the settings
  bool per_layer = false;
  std::optional<std::string> compare = {};  // a file

  // To be stated.
  int affinity_cpus = 1;
  std::optional<double> quota_cpus = {};
};

}  // namespace mnv2::app

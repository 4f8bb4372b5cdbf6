// What a run will do: the options completed from the environment and the machine.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/options.h"
#include "app/inputs/named_source.h"
#include "app/inputs/shard.h"
#include "app/inputs/walker.h"
#include "app/models/model_search.h"
#include "app/pipeline/exchange.h"
#include "app/results/writer.h"
#include "mnv2/isa.h"

namespace mnv2::app {

/// What the plan depends on besides the options.
struct Environment {
  std::function<std::string(const char*)> variable;  // an environment variable, empty when unset
  std::string program;                               // path of the running program
  std::string source_models;                         // models/ of the source tree
  bool stdout_is_terminal = false;
  bool stderr_is_terminal = false;
  int affinity_cpus = 1;
  std::optional<double> quota_cpus;
};

/// The environment of this process.
Environment this_environment();

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

struct Plan {
  NamedInputs inputs;
  WalkRules walk = {};
  std::optional<Shard> shard = {};
  bool single_image = false;  // exactly one input, and neither a folder nor a list

  ModelSearch model;
  std::optional<std::string> labels;
  std::optional<int> resize;  // pixels, instead of the model's
  std::optional<int> crop;
  std::optional<int> input_size = {};  // a crop that takes the resize with it

  int top_k = 5;
  std::string classes_flag =
      {};  // one that asks for classes, which a model without classifier lacks; or empty
  Layout layout = Layout::json_lines;
  Order order = Order::inputs;
  float min_prob = 0;                          // predictions below are left out
  std::optional<std::string> output = {};      // a file; stdout without
  bool resume = false;                         // go on with `output`
  std::optional<std::string> embeddings = {};  // a file
  std::optional<std::string> html = {};        // a file
  std::optional<std::string> sort_into = {};   // a folder
  SortAs sort_as = SortAs::link;
  bool log_failures = true;        // not where the records are read by the same person
  bool progress = false;           // shown, on stderr
  bool progress_also_few = false;  // for a handful of images, too
  bool timings = false;
  bool apply_exif = true;
  std::int64_t max_pixels = 0;

  int threads = 1;
  std::optional<int> batch = {};  // images at once at most; without, as many as threads
  int affinity_cpus = 1;          // for --bench to state
  std::optional<double> quota_cpus;
  Isa isa = Isa::portable;

  bool summary = false;
  bool list_models = false;

  bool eval = false;
  std::optional<std::string> truth = {};  // a table; without, folders are named by classes

  bool bench = false;
  double bench_seconds = 2;                       // for each of the settings
  std::vector<BenchSetting> bench_settings = {};  // not empty
  bool bench_per_layer = false;
  std::optional<std::string> bench_compare = {};  // a file

  /// How many images a run works on at once, each on one thread; 1: the threads share each image.
  int images_at_once() const { return single_image ? 1 : std::min(batch.value_or(threads), threads); }
};

/// The instruction set of --isa, else $MNV2_ISA, else the best of this machine.
/// @throws UsageError
Isa choose_isa(const Options& options, const Environment& environment);

/// @throws UsageError
Plan make_plan(const Options& options, const Environment& environment);

}  // namespace mnv2::app

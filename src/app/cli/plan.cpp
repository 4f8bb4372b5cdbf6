#include "app/cli/plan.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "app/base/cpu_count.h"
#include "app/base/usage_error.h"
#include "app/cli/plan_outputs.h"
#include "app/inputs/stream.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

Decode choose_decode(const Options& options) {
  return options.decode.value_or(options.fast ? Decode::fast : Decode::exact);
}

/// A person gets one image as an indented object; programs get one line, so that `wc -l`, `grep` and every
/// reader of JSON Lines work on the result of one image as on that of many.
Layout choose_layout(const Options& options, bool single_image, bool on_terminal) {
  if (!options.format) {
    if (options.bench || options.summary || options.list_models) return Layout::text;
    if (options.eval) return on_terminal ? Layout::text : Layout::json_object;
    return single_image && on_terminal ? Layout::json_object : Layout::json_lines;
  }
  switch (*options.format) {
    case Format::json:
      return single_image || options.bench || options.eval || options.summary || options.list_models
                 ? Layout::json_object
                 : Layout::json_array;
    case Format::jsonl: return Layout::json_lines;
    case Format::csv: return Layout::csv;
    case Format::text: break;
  }
  return Layout::text;
}

InputPlan plan_inputs(const Options& options, const Environment& environment) {
  InputPlan plan{.named = {.paths = options.inputs,
                           .files_from = options.files_from,
                           .null_separated = options.null_separated}};
  if (plan.named.empty() && !options.bench && !options.truth && !options.summary && !options.list_models)
    throw UsageError("no input: name images or folders, or see mnv2-classify --help");
  if (options.null_separated && !plan.named.has_list())
    throw UsageError("--null: there is no list; --files-from FILE names one, - is the one on stdin");
  if (std::count(options.inputs.begin(), options.inputs.end(), "-") + (options.files_from == "-") > 1)
    throw UsageError("-: the list on stdin can be read only once");
  plan.walk = {.max_depth = options.max_depth,
               .hidden = options.hidden,
               .any_name = options.any_name,
               .exclude = ExcludeRules(options.exclude),
               .archives = options.archives};
  if (options.shard) plan.shard = parse_shard(*options.shard, environment.variable);
  return plan;
}

ModelPlan plan_model(const Options& options, const Environment& environment) {
  if (options.model && options.model->empty()) throw UsageError("--model: the file name is empty");
  if (options.preprocessing.input_size && options.preprocessing.crop)
    throw UsageError("--input-size: not with --crop, which leaves the resize as it is");
  ModelPlan plan{.search = {.flag = options.model.value_or(""),
                            .mnv2_model = environment.variable("MNV2_MODEL"),
                            .xdg_data_home = environment.variable("XDG_DATA_HOME"),
                            .home = environment.variable("HOME"),
                            .xdg_data_dirs = environment.variable("XDG_DATA_DIRS"),
                            .program = environment.program,
                            .source_models = environment.source_models},
                 .labels = options.labels,
                 .preprocessing = options.preprocessing,
                 .features_serve = options.bench || options.embeddings,
                 .probabilities_wanted = options.min_prob > 0};
  if (options.bench) return plan;
  plan.classes_flag = options.eval           ? "--eval"
                      : options.sort_into    ? "--sort-into"
                      : options.labels       ? "--labels"
                      : options.top_k        ? "--top-k"
                      : options.min_prob > 0 ? "--min-prob"
                                             : "";
  return plan;
}

/// The modes that look at models alone.
void check_model_mode(const Options& options) {
  if (!options.summary && !options.list_models) return;
  const std::string mode = options.summary ? "--summary" : "--list-models";
  if (!options.inputs.empty() || options.files_from) throw UsageError(mode + ": takes no images");
  if (options.bench || options.eval || (options.summary && options.list_models))
    throw UsageError(mode + ": not with --bench, --eval" + (options.summary ? " or --list-models" : ""));
  if (options.format == Format::csv) throw UsageError(mode + ": gives text or json, not csv");
}

void check_eval(const Options& options, const NamedInputs& inputs) {
  if (!options.eval) {
    if (options.truth) throw UsageError("--truth: needs --eval");
    return;
  }
  if (options.bench) throw UsageError("--eval: not with --bench");
  if (inputs.has_list()) throw UsageError("--eval: takes folders or --truth FILE, not a list of paths");
  if (options.truth && options.inputs.size() > 1)
    throw UsageError("--truth: " + std::to_string(options.inputs.size()) +
                     " inputs, expected one folder that its paths are relative to, or none");
}

void check_no_bench(const Options& options) {
  if (options.threads.size() > 1) throw UsageError("--threads: more than one number needs --bench");
  if (options.per_layer) throw UsageError("--per-layer: needs --bench");
  if (options.batch.size() > 1) throw UsageError("--batch: more than one number needs --bench");
  if (options.compare) throw UsageError("--compare: needs --bench");
}

/// The bar is not for people who redirected stderr or read the records as they come, and not where a line cannot be
/// redrawn.
ProgressPlan plan_progress(const Options& options, const Environment& environment, bool results_on_terminal) {
  const bool shows_records = results_on_terminal && !options.eval;
  const std::string terminal = environment.variable("TERM");
  const bool fits = environment.stderr_is_terminal && !shows_records && !terminal.empty() &&
                    terminal != "dumb" && options.verbosity != Verbosity::quiet;
  const bool always = options.progress == When::always;
  return {.shown = always || (fits && options.progress == When::automatic),
          .also_few = always,
          .closing_line = fits && options.progress != When::never};
}

/// A row for each pair of a number of threads and a batch; they grow like a table, so there is a limit.
std::vector<BenchSetting> plan_settings(const Options& options, int default_threads) {
  constexpr std::size_t kMaxSettings = 64;
  const std::vector<int> threads = options.threads.empty() ? std::vector{default_threads} : options.threads;
  const std::vector<int> batches = options.batch.empty() ? std::vector{1} : options.batch;
  if (threads.size() * batches.size() > kMaxSettings)
    throw UsageError("--bench: " + std::to_string(threads.size()) + " numbers of threads times " +
                     std::to_string(batches.size()) + " batches, expected at most " +
                     std::to_string(kMaxSettings) + " pairs");
  if (options.per_layer && std::find(batches.begin(), batches.end(), 1) == batches.end())
    throw UsageError("--per-layer: needs a batch of 1");
  std::vector<BenchSetting> settings;
  for (const int batch : batches)
    for (const int t : threads) settings.push_back({.threads = t, .batch = batch});
  return settings;
}

/// Top-5 needs five guesses, whatever a record would show.
constexpr int kEvalTopK = 5;

ClassifierPlan plan_classifier(const Options& options) {
  ClassifierPlan plan{.pictures = {.apply_exif = !options.no_exif,
                                   .max_pixels = options.max_pixels,
                                   .fast = choose_decode(options) == Decode::fast},
                      .min_prob = options.min_prob,
                      .timings = options.bench || options.verbosity == Verbosity::verbose,
                      .byte_order_mark = options.byte_order_mark};
  plan.top_k = options.eval ? kEvalTopK : options.top_k.value_or(plan.top_k);
  return plan;
}

}  // namespace

Environment this_environment() {
  Environment environment;
  environment.variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  std::error_code error;
  environment.program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  environment.source_models = MNV2_SOURCE_MODELS_DIR;
  environment.stdout_is_terminal = isatty(STDOUT_FILENO) == 1;
  environment.stderr_is_terminal = isatty(STDERR_FILENO) == 1;
  environment.affinity_cpus = affinity_cpus();
  environment.quota_cpus = cgroup_cpu_quota();
  return environment;
}

Isa choose_isa(const Options& options, const Environment& environment) {
  const std::string variable = environment.variable("MNV2_ISA");
  if (!options.isa && variable.empty()) return best_isa();
  try {
    return parse_isa(options.isa ? *options.isa : variable);
  } catch (const Error& e) {
    throw UsageError(std::string(options.isa ? "--isa: " : "$MNV2_ISA: ") + e.what());
  }
}

Precision choose_precision(const Options& options, Isa isa) {
  const PrecisionChoice choice =
      options.precision.value_or(options.fast ? PrecisionChoice{std::nullopt} : PrecisionChoice{});
  return choice.named ? *choice.named : fast_precision(isa);
}

Plan make_plan(const Options& options, const Environment& environment) {
  // The order of the checks is that of the messages where several flags are wrong.
  InputPlan inputs = plan_inputs(options, environment);
  ModelPlan model = plan_model(options, environment);
  check_model_mode(options);
  check_eval(options, inputs.named);
  const bool single_image = inputs.named.single_file() && !inputs.shard && !options.eval;
  const bool on_terminal = environment.stdout_is_terminal && options.output.value_or("-") == "-";
  const Layout layout = choose_layout(options, single_image, on_terminal);
  OutputPlan outputs = plan_outputs(options, inputs.named, layout);

  Plan plan{.isa = choose_isa(options, environment),
            .threads = options.threads.empty()
                           ? default_threads(environment.affinity_cpus, environment.quota_cpus)
                           : options.threads.front(),
            .mode = {}};
  plan.precision = choose_precision(options, plan.isa);
  if (!options.bench) check_no_bench(options);
  if (options.list_models) {
    plan.mode = ListModels{.search = model.search, .layout = layout, .output = outputs.output};
    return plan;
  }
  if (options.summary) {
    plan.mode = Summarize{.model = model, .layout = layout, .output = outputs.output};
    return plan;
  }

  PipelinePlan pipeline{.classifier = plan_classifier(options),
                        .layout = layout,
                        .threads = plan.threads,
                        .images_at_once = plan.threads,
                        .order = options.unordered ? Order::completion : Order::inputs,
                        .log_failures = !on_terminal};
  if (options.bench) {
    plan.mode = Bench{.inputs = std::move(inputs),
                      .many_images = !single_image,
                      .model = std::move(model),
                      .pipeline = std::move(pipeline),
                      .outputs = std::move(outputs),
                      .settings = plan_settings(options, plan.threads),
                      .seconds = options.bench_seconds,
                      .per_layer = options.per_layer,
                      .compare = options.compare,
                      .affinity_cpus = environment.affinity_cpus,
                      .quota_cpus = environment.quota_cpus};
    return plan;
  }
  if (!options.batch.empty()) pipeline.images_at_once = std::min(options.batch.front(), plan.threads);
  if (single_image) pipeline.images_at_once = 1;
  RunPlan run{.inputs = std::move(inputs),
              .model = std::move(model),
              .pipeline = std::move(pipeline),
              .outputs = std::move(outputs),
              .progress = plan_progress(options, environment, on_terminal)};
  if (options.eval) {
    plan.mode = Evaluate{.run = std::move(run), .truth = options.truth};
    return plan;
  }
  std::optional<std::string> early_image;
  // How small --decode fast may decode it only the model tells.
  if (single_image && plan.threads > 1 && choose_decode(options) == Decode::exact &&
      !is_pipe(run.inputs.named.paths.front()))
    early_image = run.inputs.named.paths.front();
  plan.mode = Classify{.run = std::move(run), .early_image = std::move(early_image)};
  return plan;
}

}  // namespace mnv2::app

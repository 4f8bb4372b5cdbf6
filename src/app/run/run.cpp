#include "app/run/run.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/base/exit_status.h"
#include "app/base/log.h"
#include "app/base/signals.h"
#include "app/base/usage_error.h"
#include "app/bench/bench.h"
#include "app/cli/options.h"
#include "app/cli/plan.h"
#include "app/cli/plan_outputs.h"
#include "app/eval/make_eval_inputs.h"
#include "app/image/decode.h"
#include "app/image/decoder_version.h"
#include "app/inputs/make_inputs.h"
#include "app/inputs/skip_done.h"
#include "app/models/engine.h"
#include "app/models/list_models.h"
#include "app/models/model_search.h"
#include "app/pipeline/picture.h"
#include "app/pipeline/pipeline.h"
#include "app/pipeline/progress.h"
#include "app/results/destination.h"
#include "app/results/output.h"
#include "app/results/output_file.h"
#include "app/run/make_sinks.h"
#include "app/summary/summary.h"
#include "mnv2/error.h"
#include "mnv2/version.h"

namespace mnv2::app {
namespace {

/// A closed standard descriptor would be given to the next file that is opened, and results written into it.
void occupy_standard_descriptors() {
  while (true) {
    const int descriptor = open("/dev/null", O_RDONLY);  // writing to it stays an error
    if (descriptor > STDERR_FILENO || descriptor < 0) {
      if (descriptor >= 0) close(descriptor);
      return;
    }
  }
}

std::string version_text(Isa chosen) {
  std::string compiled;
  for (const Isa isa : compiled_isas()) compiled.append(compiled.empty() ? "" : ", ").append(isa_name(isa));
  return "mnv2-classify " MNV2_VERSION_STRING "\ninstruction sets: " + compiled +
         "; chosen: " + std::string(isa_name(chosen)) + "\nimage decoder: " + image::decoder_version() + "\n";
}

/// Writes what was asked for instead of a run.
int print(const std::string& text, Output& output, OutputFile* file = nullptr) {
  output.write(text);
  output.finish();
  if (file != nullptr) file->finish(true);
  if (output.state() != Output::State::failed) return kExitOk;
  log_error(output.error());
  return kExitOutput;
}

/// How the outputs of a run fared.
struct Outcome {
  std::optional<std::string> write_error = {};
  bool closed = false;   // a reader has gone
  std::size_t lost = 0;  // results that a sink could not deal with

  void add(Sink::State state, const std::string& error) {
    if (state == Sink::State::failed && !write_error) write_error = error;
    closed = closed || state == Sink::State::closed;
  }
};

/// The status for a run, and the last words about it.
int exit_status(const PipelineResult& result, const Outcome& outcome) {
  if (outcome.write_error) {
    log_error(*outcome.write_error);
    return kExitOutput;
  }
  if (outcome.closed && result.signal == 0) return kExitOk;
  if (result.failed > 0 && result.records > 1) {
    log_warning(std::to_string(result.failed) + " of " + std::to_string(result.records) +
                " inputs could not be classified");
  }
  if (result.signal != 0) return kExitSignalBase + result.signal;
  if (outcome.lost > 0) return kExitOutput;
  return result.failed > 0 ? kExitFailed : kExitOk;
}

int bench(const Engine& engine, const Plan& plan, Destination& destination) {
  Output& output = destination.output();
  const PipelineResult result = run_bench(engine, plan, output);
  output.finish();
  destination.finish(result.complete);
  Outcome outcome;
  outcome.add(output.state(), output.error());
  return exit_status(result, outcome);
}

std::unique_ptr<InputSource> open_inputs(const Engine& engine, const Plan& plan, const Warn& warn) {
  return plan.eval ? make_eval_inputs(engine, plan, warn) : make_inputs(plan, warn);
}

std::unique_ptr<ProgressSink> make_progress(const Engine& engine, const Plan& plan, std::size_t done_before) {
  ProgressSink::Settings settings{.also_few = plan.progress_also_few, .skipped = done_before};
  if (can_be_read_twice(plan)) {
    settings.open_inputs = [&] { return open_inputs(engine, plan, [](const std::string&) {}); };
  }
  return std::make_unique<ProgressSink>(std::move(settings));
}

int classify_inputs(const Engine& engine, const Plan& plan, Destination& destination, EarlyPicture& early) {
  std::unique_ptr<InputSource> inputs = open_inputs(engine, plan, log_warning);
  Journal* journal = destination.journal();
  if (journal != nullptr) inputs = std::make_unique<SkipDone>(std::move(inputs), *journal);
  std::vector<std::unique_ptr<Sink>> sinks = make_sinks(engine, plan, destination.output());
  if (plan.progress) {
    // First, so that it is off the terminal before the last words of the others.
    const std::size_t done_before = journal == nullptr ? 0 : journal->records();
    sinks.insert(sinks.begin(), make_progress(engine, plan, done_before));
  }
  PipelineResult result = classify_all(engine, plan, *inputs, sinks, &early);
  destination.finish(result.complete);

  Outcome outcome;
  for (const auto& sink : sinks) {
    outcome.add(sink->state(), sink->error());
    outcome.lost += sink->lost();
  }
  outcome.add(destination.output().state(), destination.output().error());
  if (journal != nullptr) {  // the status is that of one whole run
    result.records += journal->records();
    result.failed += journal->failed();
  }
  return exit_status(result, outcome);
}

std::string summary_text(const Plan& plan) {
  const Model model = Model::load(find_model(plan.model));
  const int side = choose_preprocessing(model, plan).crop;
  return format_summary(summarize(model, side, side), plan.layout);
}

/// What `use` returns, which loads a model; where that fails, a message and the status for it.
int with_model(const std::function<int()>& use) {
  try {
    return use();
  } catch (const ModelNotFound& e) {
    log_error(e.what(), e.details());
    return kExitModel;
  } catch (const Error& e) {
    log_error(std::string("cannot use the model: ") + e.what());
    return kExitModel;
  } catch (const std::bad_alloc&) {
    log_error("not enough memory for the model");
    return kExitModel;
  }
}

/// What is told of models alone.
int print_about_models(const Plan& plan, Output& output) {
  std::string text;
  const int status = with_model([&] {
    text = plan.summary ? summary_text(plan) : list_models(plan.model, plan.layout);
    return kExitOk;
  });
  if (status != kExitOk) return status;
  if (!plan.output) return print(text, output);
  OutputFile file("--output", *plan.output);
  return print(text, file.output(), &file);
}

int run_plan(const Plan& plan, Output& output) {
  log_info("instruction set " + std::string(isa_name(plan.isa)) + ", " + std::to_string(plan.threads) +
           (plan.threads == 1 ? " thread" : " threads"));
  if (plan.summary || plan.list_models) return print_about_models(plan, output);

  image::init_decoder();
  EarlyPicture early(plan);  // is decoded while the model is loaded
  std::optional<Engine> engine;
  const int status = with_model([&] {
    engine.emplace(load_engine(plan));
    return kExitOk;
  });
  if (status != kExitOk) return status;
  check_model_is_no_output(plan, engine->network.model().path());
  Destination destination(*engine, plan, output);
  return plan.bench ? bench(*engine, plan, destination) : classify_inputs(*engine, plan, destination, early);
}

}  // namespace

int run(int argc, char** argv) {
  occupy_standard_descriptors();
  install_signal_handlers();
  Output output(STDOUT_FILENO);
  try {
    const Options options = parse_options({argv + std::min(argc, 1), argv + argc});
    set_verbosity(options.verbosity);
    set_color(options.color);
    if (options.help) return print(*options.help, output);
    const Environment environment = this_environment();
    if (options.version) return print(version_text(choose_isa(options, environment)), output);
    return run_plan(make_plan(options, environment), output);
  } catch (const UsageError& e) {
    log_error(e.what());
    return kExitUsage;
  } catch (const Error& e) {  // those of models and of images end elsewhere: an output cannot be opened
    log_error(e.what());
    return kExitOutput;
  } catch (const Stopped&) {
    return kExitSignalBase + stop_signal();
  }
}

}  // namespace mnv2::app

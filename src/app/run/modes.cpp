#include "app/run/modes.h"

#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "app/base/exit_status.h"
#include "app/base/log.h"
#include "app/base/stopwatch.h"
#include "app/bench/bench.h"
#include "app/cli/plan_outputs.h"
#include "app/eval/make_eval_inputs.h"
#include "app/image/decode.h"
#include "app/inputs/make_inputs.h"
#include "app/inputs/skip_done.h"
#include "app/models/engine.h"
#include "app/models/foreign_model.h"
#include "app/models/list_models.h"
#include "app/models/model_search.h"
#include "app/pipeline/picture.h"
#include "app/pipeline/pipeline.h"
#include "app/pipeline/progress.h"
#include "app/results/destination.h"
#include "app/run/make_sinks.h"
#include "app/summary/summary.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

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
/// @param closing_line for people who watch; empty for others.
int exit_status(const PipelineResult& result, const Outcome& outcome, const std::string& closing_line = {}) {
  if (outcome.write_error) {
    log_error(*outcome.write_error);
    return kExitOutput;
  }
  if (outcome.closed && result.signal == 0) return kExitOk;
  if (!closing_line.empty()) {
    log_note(closing_line);
  } else if (result.failed > 0 && result.records > 1) {
    log_warning(std::to_string(result.failed) + " of " + std::to_string(result.records) +
                " inputs could not be classified");
  }
  if (result.signal != 0) return kExitSignalBase + result.signal;
  if (outcome.lost > 0) return kExitOutput;
  return result.failed > 0 ? kExitFailed : kExitOk;
}

/// What `use` returns, which loads a model; where that fails, a message and the status for it.
int with_model(const std::function<int()>& use) {
  try {
    return use();
  } catch (const ModelNotFound& e) {
    log_error(e.what(), e.details());
    return kExitModel;
  } catch (const ForeignModel& e) {
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

/// What is told of models alone: the text that `make` gives.
int print_about_models(const std::function<std::string()>& make, const std::optional<std::string>& path,
                       Output& output) {
  std::string text;
  const int status = with_model([&] {
    text = make();
    return kExitOk;
  });
  if (status != kExitOk) return status;
  if (!path) return print(text, output);
  OutputFile file("--output", *path);
  return print(text, file.output(), &file);
}

/// The inputs of a run in its mode.
std::unique_ptr<InputSource> open_inputs(const Engine&, const Classify& plan, const Warn& warn) {
  return make_inputs(plan.run.inputs, warn);
}
std::unique_ptr<InputSource> open_inputs(const Engine& engine, const Evaluate& plan, const Warn& warn) {
  return make_eval_inputs(engine, plan, warn);
}
bool can_be_read_twice(const Classify& plan) { return plan.run.inputs.named.can_be_read_twice(); }

/// Runs a plan in its mode. Each knows what it needs of the model before it is loaded.
class Runner {
 public:
  Runner(const Plan& plan, Output& output) : plan_(plan), output_(output) {}

  int operator()(const Summarize& plan) {
    return print_about_models(
        [&] {
          const Model model = load_model(find_model(plan.model.search));
          const int side = choose_preprocessing(model, plan.model).crop;
          return format_summary(summarize(model, side, side), plan.layout);
        },
        plan.output, output_);
  }

  int operator()(const ListModels& plan) {
    return print_about_models([&] { return list_models(plan.search, plan.layout); }, plan.output, output_);
  }

  int operator()(const Bench& plan) {
    image::init_decoder();
    if (const int status = load(plan.model); status != kExitOk) return status;
    Destination destination = open_destination(plan.outputs, plan.pipeline);
    Output& output = destination.output();
    const PipelineResult result = run_bench(*engine_, plan, output);
    output.finish();
    destination.finish(result.complete);
    Outcome outcome;
    outcome.add(output.state(), output.error());
    return exit_status(result, outcome);
  }

  int operator()(const Classify& plan) {
    image::init_decoder();
    std::optional<EarlyPicture> early;  // is decoded while the model is loaded
    if (plan.early_image) early.emplace(*plan.early_image, plan.run.pipeline.classifier.pictures);
    if (const int status = load(plan.run.model); status != kExitOk) return status;
    return run_images(plan, early ? &*early : nullptr);
  }

  int operator()(const Evaluate& plan) {
    image::init_decoder();
    if (const int status = load(plan.run.model); status != kExitOk) return status;
    return run_images(plan, nullptr);
  }

 private:
  int load(const ModelPlan& model) {
    return with_model([&] {
      engine_.emplace(load_engine(model, plan_.isa, plan_.precision, plan_.threads));
      return kExitOk;
    });
  }

  Destination open_destination(const OutputPlan& outputs, const PipelinePlan& pipeline) const {
    check_model_is_no_output(outputs, engine_->network().model().path());
    return {outputs, pipeline.layout, pipeline.classifier.columns(*engine_), output_};
  }

  template <typename Mode>
  std::unique_ptr<ProgressSink> make_progress(const Mode& plan, std::size_t done_before) const {
    ProgressSink::Settings settings{.also_few = plan.run.progress.also_few, .skipped = done_before};
    if (can_be_read_twice(plan)) {
      settings.open_inputs = [this, &plan] { return open_inputs(*engine_, plan, [](const std::string&) {}); };
    }
    return std::make_unique<ProgressSink>(std::move(settings));
  }

  template <typename Mode>
  int run_images(const Mode& plan, EarlyPicture* early) {
    Destination destination = open_destination(plan.run.outputs, plan.run.pipeline);
    std::unique_ptr<InputSource> inputs = open_inputs(*engine_, plan, log_warning);
    Journal* journal = destination.journal();
    if (journal != nullptr) inputs = std::make_unique<SkipDone>(std::move(inputs), *journal);
    std::vector<std::unique_ptr<Sink>> sinks = make_sinks(*engine_, plan, destination.output());
    if (plan.run.progress.shown) {
      // First, so that it is off the terminal before the last words of the others.
      const std::size_t done_before = journal == nullptr ? 0 : journal->records();
      sinks.insert(sinks.begin(), make_progress(plan, done_before));
    }
    const Stopwatch stopwatch;
    PipelineResult result = classify_all(*engine_, plan.run.pipeline, *inputs, sinks, early);
    std::string closing_line;
    if (plan.run.progress.closing_line && result.records > kHandful)
      closing_line = format_closing_line(result.records, result.failed, stopwatch.elapsed_ms() / 1000);
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
    return exit_status(result, outcome, closing_line);
  }

  const Plan& plan_;
  Output& output_;
  std::optional<Engine> engine_;
};

}  // namespace

int print(const std::string& text, Output& output, OutputFile* file) {
  output.write(text);
  output.finish();
  if (file != nullptr) file->finish(true);
  if (output.state() != Output::State::failed) return kExitOk;
  log_error(output.error());
  return kExitOutput;
}

int run_plan(const Plan& plan, Output& output) {
  log_info("instruction set " + std::string(isa_name(plan.isa)) + ", precision " +
           std::string(precision_name(plan.precision)) + ", " + std::to_string(plan.threads) +
           (plan.threads == 1 ? " thread" : " threads"));
  return std::visit(Runner(plan, output), plan.mode);
}

}  // namespace mnv2::app

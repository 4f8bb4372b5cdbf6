#include "app/run/make_sinks.h"

#include <string>
#include <utility>

#include "app/eval/eval_sink.h"
#include "app/results/embedding_sink.h"
#include "app/results/html_sink.h"
#include "app/results/record_sink.h"
#include "app/results/sort_sink.h"

namespace mnv2::app {
namespace {

/// Those that have files of their own.
/// @param evaluation whether the true classes are known.
std::vector<std::unique_ptr<Sink>> sinks_of_files(const Engine& engine, const OutputPlan& plan,
                                                  bool evaluation) {
  std::vector<std::unique_ptr<Sink>> sinks;
  if (plan.embeddings) {
    const int size = engine.network().embedding_size();
    sinks.push_back(std::make_unique<EmbeddingSink>(*plan.embeddings, static_cast<std::size_t>(size)));
  }
  if (plan.html) {
    const Architecture& architecture = engine.network().model().architecture();
    // Of one output a sigmoid makes two classes, of which an image has one.
    const bool independent =
        architecture.output_activation == OutputActivation::sigmoid && !architecture.is_binary();
    const HtmlSink::Settings settings{.model = engine.network().model().path().filename().string(),
                                      .labels = evaluation ? engine.labels : std::vector<std::string>{},
                                      .classes = engine.network().num_classes(),
                                      .probabilities = engine.has_probabilities(),
                                      .independent = independent,
                                      .evaluation = evaluation};
    sinks.push_back(std::make_unique<HtmlSink>(*plan.html, settings));
  }
  if (plan.sort_into) {
    sinks.push_back(std::make_unique<SortSink>(*plan.sort_into, plan.sort_as, engine.labels,
                                               engine.network().num_classes()));
  }
  return sinks;
}

}  // namespace

std::vector<std::unique_ptr<Sink>> make_sinks(const Engine& engine, const Classify& plan, Output& output) {
  std::vector<std::unique_ptr<Sink>> sinks = sinks_of_files(engine, plan.run.outputs, false);
  const PipelinePlan& pipeline = plan.run.pipeline;
  // Last: what has a record has been dealt with, so that --resume may skip it.
  sinks.push_back(std::make_unique<RecordSink>(output, pipeline.layout, pipeline.classifier.columns(engine)));
  return sinks;
}

std::vector<std::unique_ptr<Sink>> make_sinks(const Engine& engine, const Evaluate& plan, Output& output) {
  std::vector<std::unique_ptr<Sink>> sinks = sinks_of_files(engine, plan.run.outputs, true);
  sinks.push_back(std::make_unique<EvalSink>(output, plan.run.pipeline.layout, engine.labels,
                                             engine.network().num_classes()));
  return sinks;
}

}  // namespace mnv2::app

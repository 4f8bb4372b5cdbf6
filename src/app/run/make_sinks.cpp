#include "app/run/make_sinks.h"

#include "app/eval/eval_sink.h"
#include "app/results/embedding_sink.h"
#include "app/results/html_sink.h"
#include "app/results/record_sink.h"
#include "app/results/sort_sink.h"

namespace mnv2::app {

std::vector<std::unique_ptr<Sink>> make_sinks(const Engine& engine, const Plan& plan, Output& output) {
  std::vector<std::unique_ptr<Sink>> sinks;
  if (plan.embeddings) {
    const int size = engine.network.embedding_size();
    sinks.push_back(std::make_unique<EmbeddingSink>(*plan.embeddings, static_cast<std::size_t>(size)));
  }
  if (plan.html) {
    const HtmlSink::Settings settings{.model = engine.network.model().path().filename().string(),
                                      .labels = plan.eval ? engine.labels : std::vector<std::string>()};
    sinks.push_back(std::make_unique<HtmlSink>(*plan.html, settings));
  }
  if (plan.sort_into) {
    sinks.push_back(std::make_unique<SortSink>(*plan.sort_into, plan.sort_as, engine.labels,
                                               engine.network.num_classes()));
  }
  if (plan.eval) {
    sinks.push_back(
        std::make_unique<EvalSink>(output, plan.layout, engine.labels, engine.network.num_classes()));
    return sinks;
  }
  // Last: what has a record has been dealt with, so that --resume may skip it.
  sinks.push_back(std::make_unique<RecordSink>(output, plan.layout, predictions_per_record(engine, plan)));
  return sinks;
}

}  // namespace mnv2::app

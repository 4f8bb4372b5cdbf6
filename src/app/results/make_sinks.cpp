#include "app/results/make_sinks.h"

#include "app/eval/eval_sink.h"
#include "app/results/record_sink.h"

namespace mnv2::app {

std::vector<std::unique_ptr<Sink>> make_sinks(const Engine& engine, const Plan& plan, Output& output) {
  std::vector<std::unique_ptr<Sink>> sinks;
  if (plan.eval)
    sinks.push_back(
        std::make_unique<EvalSink>(output, plan.layout, engine.labels, engine.network.num_classes()));
  else
    sinks.push_back(std::make_unique<RecordSink>(output, plan.layout));
  return sinks;
}

}  // namespace mnv2::app

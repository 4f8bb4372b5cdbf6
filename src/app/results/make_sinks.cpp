#include "app/results/make_sinks.h"

#include "app/results/record_sink.h"

namespace mnv2::app {

std::vector<std::unique_ptr<Sink>> make_sinks(const Engine&, const Plan& plan, Output& output) {
  std::vector<std::unique_ptr<Sink>> sinks;
  sinks.push_back(std::make_unique<RecordSink>(output, plan.layout));
  return sinks;
}

}  // namespace mnv2::app

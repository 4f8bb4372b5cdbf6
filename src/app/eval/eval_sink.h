// --eval: instead of records, how often they are right.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/base/layout.h"
#include "app/eval/evaluation.h"
#include "app/results/output.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// What an evaluation came to.
struct EvalReport {
  Evaluation evaluation;
  std::int64_t failed = 0;      // images that could not be classified
  std::int64_t unlabelled = 0;  // images of no known class
  bool complete = true;         // false: cut short, these are the images so far
};

/// The report for people, or as JSON with all classes.
std::string format_eval_report(const EvalReport& report, const std::vector<std::string>& labels,
                               Layout layout);

/// Counts, and writes the report to `output` in the end. `output` and `labels` outlive it.
class EvalSink : public Sink {
 public:
  EvalSink(Output& output, Layout layout, const std::vector<std::string>& labels, int num_classes)
      : output_(output), layout_(layout), labels_(labels), report_{.evaluation = Evaluation(num_classes)} {}

  void take(const Result& result) override;
  void finish(Ending ending) override;
  State state() const override { return output_.state(); }
  std::string error() const override { return output_.error(); }

 private:
  Output& output_;
  Layout layout_;
  const std::vector<std::string>& labels_;
  EvalReport report_;
};

}  // namespace mnv2::app

#include "app/results/destination.h"

namespace mnv2::app {

Destination::Destination(const OutputPlan& plan, Layout layout, const CsvColumns& columns,
                         Output& standard_output)
    : standard_output_(standard_output) {
  if (!plan.output) return;
  if (plan.resume) {
    journal_.emplace(*plan.output, layout, columns);
  } else {
    file_.emplace("--output", *plan.output);
  }
}

Output& Destination::output() {
  if (journal_) return journal_->output();
  return file_ ? file_->output() : standard_output_;
}

void Destination::finish(bool complete) {
  if (journal_) journal_->finish(complete);
  if (file_) file_->finish(complete);
}

}  // namespace mnv2::app

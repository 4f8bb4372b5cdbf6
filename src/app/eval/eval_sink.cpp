#include "app/eval/eval_sink.h"

#include "app/base/log.h"

namespace mnv2::app {

void EvalSink::take(const Result& result) {
  if (result.record.error) {
    ++report_.failed;
  } else if (!result.truth) {
    if (report_.unlabelled++ == 0)
      log_warning("--eval: " + result.record.path +
                  ": of no known class; it and others like it do not count");
  } else {
    report_.evaluation.add(*result.truth, result.record.top);
  }
}

void EvalSink::finish(Ending ending) {
  report_.complete = ending == Ending::complete;
  output_.write(format_eval_report(report_, labels_, layout_));
  output_.finish();
}

}  // namespace mnv2::app

#include "app/results/record_sink.h"

namespace mnv2::app {

void RecordSink::take(const Result& result) {
  output_.write((any_ ? framing_.between : framing_.before) + result.text);
  any_ = true;
}

void RecordSink::finish(Ending) {
  output_.write(any_ ? framing_.after : framing_.empty);
  output_.finish();
}

}  // namespace mnv2::app

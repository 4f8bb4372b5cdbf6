#include "app/results/record_sink.h"

namespace mnv2::app {

void RecordSink::take(const Result& result) {
  output_.write(std::string(any_ ? framing_.between : framing_.before) + result.text);
  any_ = true;
}

void RecordSink::finish(Ending) {
  output_.write(any_ ? framing_.after : framing_.empty);
  output_.finish();
}

Sink::State RecordSink::state() const {
  switch (output_.state()) {
    case Output::State::open:
      return State::open;
    case Output::State::closed:
      return State::closed;
    case Output::State::failed:
      break;
  }
  return State::failed;
}

}  // namespace mnv2::app

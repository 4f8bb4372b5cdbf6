#include "app/results/sink.h"

namespace mnv2::app {

Sink::State sink_state(const Output& output) {
  switch (output.state()) {
    case Output::State::open:
      return Sink::State::open;
    case Output::State::closed:
      return Sink::State::closed;
    case Output::State::failed:
      break;
  }
  return Sink::State::failed;
}

}  // namespace mnv2::app

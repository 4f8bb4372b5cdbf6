// --resume: leaves out the inputs that have a record already.
#pragma once

#include <memory>
#include <utility>

#include "app/inputs/source.h"
#include "app/results/journal.h"

namespace mnv2::app {

/// Hands on what `journal`, which outlives it, has no record of. A path that comes twice needs two records.
class SkipDone : public InputSource {
 public:
  SkipDone(std::unique_ptr<InputSource> source, Journal& journal)
      : source_(std::move(source)), journal_(journal) {}

  std::optional<Input> next() override {
    std::optional<Input> input = source_->next();
    while (input && journal_.take(input->path)) input = source_->next();
    return input;
  }

 private:
  std::unique_ptr<InputSource> source_;
  Journal& journal_;
};

}  // namespace mnv2::app

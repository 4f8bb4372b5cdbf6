// The records as text, written one by one.
#pragma once

#include "app/results/output.h"
#include "app/results/sink.h"
#include "app/results/writer.h"

namespace mnv2::app {

/// Writes each result's text to `output`, which outlives it, with what the layout puts around records.
class RecordSink : public Sink {
 public:
  /// @param columns of CSV.
  RecordSink(Output& output, Layout layout, const CsvColumns& columns)
      : output_(output), framing_(framing(layout, columns)), any_(output.continued()) {}

  Needs needs() const override { return {.text = true}; }
  void take(const Result& result) override;
  void finish(Ending ending) override;
  State state() const override { return output_.state(); }
  std::string error() const override { return output_.error(); }

 private:
  Output& output_;
  Framing framing_;
  bool any_;  // written, now or by an earlier run
};

}  // namespace mnv2::app

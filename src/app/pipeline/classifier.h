// One worker: the way of one image from its path to its result.
#pragma once

#include "app/inputs/source.h"
#include "app/models/engine.h"
#include "app/pipeline/memory_budget.h"
#include "app/pipeline/picture.h"
#include "app/results/csv.h"
#include "app/results/sink.h"
#include "mnv2/session.h"

namespace mnv2::app {

/// What a record says.
struct ClassifierPlan {
  PicturePlan pictures = {};
  int top_k = 5;
  float min_prob = 0;  // predictions below are left out
  bool timings = false;
  bool byte_order_mark = false;  // before CSV

  /// What a line of CSV has room for: as many predictions as a record has at most.
  CsvColumns columns(const Engine& engine) const;
};

/// Holds what one image at a time needs. Use from one thread; `engine` and `plan` outlive it.
class Classifier {
 public:
  /// @param threads how many threads share the network's work on one image.
  /// @param memory what this worker shares with others; outlives it.
  Classifier(const Engine& engine, const ClassifierPlan& plan, int threads, ImageMemory& memory);

  /// The result without its text. Never throws for a bad input: the record tells.
  /// @param early where the input's picture may be already; else it is loaded now.
  Result classify(const Input& input, const Needs& needs = {}, EarlyPicture* early = nullptr);

 private:
  void classify_picture(Picture picture, const Needs& needs, Result& result);

  const Engine& engine_;
  const ClassifierPlan& plan_;
  ImageMemory& memory_;
  Session session_;
};

}  // namespace mnv2::app

// Inputs through workers, results out to the sinks.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "app/base/layout.h"
#include "app/inputs/source.h"
#include "app/models/engine.h"
#include "app/pipeline/classifier.h"
#include "app/pipeline/order.h"
#include "app/pipeline/picture.h"
#include "app/results/sink.h"

namespace mnv2::app {

/// How inputs are worked on.
struct PipelinePlan {
  ClassifierPlan classifier = {};
  Layout layout = Layout::json_lines;  // of the records
  int threads = 1;
  int images_at_once = 1;  // each on one thread; 1: the threads share each image
  Order order = Order::inputs;
  bool log_failures = true;  // not where the records are read by the same person
};

struct PipelineResult {
  std::size_t records = 0;  // given to the sinks
  std::size_t failed = 0;   // of these, with an error
  bool complete = false;    // every input was taken, and no signal came before the sinks were finished
  int signal = 0;           // that asked to stop before they were
};

/// Classifies the inputs and gives each sink one result for each, in order unless the plan says otherwise,
/// until there are no more, a signal asks to stop (what is in flight is finished and written) or a sink takes
/// no more (see its state). Finishes the sinks.
///
/// One image at a time: its kernels are split over the threads. Several (PipelinePlan::images_at_once): each thread
/// takes one at a time; how far the quickest may run ahead of the slowest is bounded, so memory does not grow
/// with the number of images.
/// What the sinks get is the same for any number of threads.
/// @param early where the picture of the only image may be already.
PipelineResult classify_all(const Engine& engine, const PipelinePlan& plan, InputSource& inputs,
                            std::span<const std::unique_ptr<Sink>> sinks, EarlyPicture* early = nullptr);

}  // namespace mnv2::app

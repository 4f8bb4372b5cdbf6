// Inputs through workers, results out to the sinks.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "app/cli/plan.h"
#include "app/inputs/source.h"
#include "app/models/engine.h"
#include "app/pipeline/picture.h"
#include "app/results/sink.h"

namespace mnv2::app {

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
/// One image at a time: its kernels are split over the threads. Several (Plan::images_at_once): each thread
/// takes one at a time; how far the quickest may run ahead of the slowest is bounded, so memory does not grow
/// with the number of images.
/// What the sinks get is the same for any number of threads.
/// @param early where the picture of the only image may be already.
PipelineResult classify_all(const Engine& engine, const Plan& plan, InputSource& inputs,
                            std::span<const std::unique_ptr<Sink>> sinks, EarlyPicture* early = nullptr);

}  // namespace mnv2::app

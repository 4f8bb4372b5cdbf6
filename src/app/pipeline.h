// Images through workers, records out in the order of the inputs.
#pragma once

#include <cstddef>

#include "app/engine.h"
#include "app/output.h"
#include "app/plan.h"

namespace mnv2::app {

struct PipelineResult {
  std::size_t records = 0;  // written
  std::size_t failed = 0;   // of these, with an error
};

/// Classifies the inputs of `plan` and writes one record for each, in order, until there are no more, a
/// signal asks to stop (what is in flight is finished and written) or the output takes no more (see its
/// state).
///
/// One image: its kernels are split over the threads. Several: each thread takes one image at a time; how far
/// the quickest may run ahead of the slowest is bounded, so memory does not grow with the number of images.
/// The bytes written are the same for any number of threads.
PipelineResult classify_all(const Engine& engine, const Plan& plan, Output& output);

}  // namespace mnv2::app

// The plan of a network as text: which stages run, in which order, in how many parts, over which buffers.
#include <string>

#include "kernels/contracts.h"
#include "mnv2/isa.h"
#include "model/plan/stages.h"
#include "support/catch.h"
#include "support/describe_plan.h"
#include "support/expect_error.h"
#include "support/model_builder.h"

using namespace mnv2;
using namespace mnv2::test;

namespace {

/// The portable plan: its vectors have four floats on every machine.
NetworkPlan plan_of(const Architecture& architecture, int h, int w,
                    Precision precision = Precision::float32) {
  return make_plan(architecture, kernels::kernel_table(Isa::portable), h, w, precision);
}

std::string text_of(const Architecture& architecture, int h, int w, int threads,
                    Precision precision = Precision::float32) {
  const NetworkPlan plan = plan_of(architecture, h, w, precision);
  return describe(plan, make_schedule(plan, threads));
}

/// The lines before the list of buffers.
std::string stages_of(const std::string& text) { return text.substr(0, text.find("\nplanes ") + 1); }

}  // namespace

TEST_CASE("plan: bands, then chunks in two groups that are merged, then the tail") {
  const Architecture architecture = make_architecture(8, {{1, 10, 1}, {6, 12, 2}, {6, 12, 1}}, 24, 6);
  const std::string text = text_of(architecture, 60, 64, 2);
  CHECK(stages_of(text) ==
        "bands 0 planes 8x30x32 -> 8 -> 10x30x32 rows 4 ring 6 stem f32*1 project f32*1 f32-halves*1 -> "
        "activation | "
        "30 in 2\n"
        "bands 1 activation 10x30x32 -> 60 -> 12x15x16 rows 4 ring 9 expand f32*8 project f32*2 -> "
        "next_activation | 15 in 2\n"
        "groups 2 next_activation 12x15x16 -> 72 -> 12x15x16 chunks 2 expand f32*9 project f32*2 -> sums | "
        "2 in 2\n"
        "merge 2 sums 12x15x16 -> 72 -> 12x15x16 + next_activation -> activation | 240 in 4\n"
        "tail activation 12x15x16 f32*3 -> features 24, logits | 3 in 3\n"
        "logits 6 | 1 in 1\n");
}

TEST_CASE("plan: more threads than groups share hidden channels, then pixels") {
  const Architecture architecture = make_architecture(8, {{6, 12, 1}, {6, 12, 1}}, 24, 6);
  const std::string text = text_of(architecture, 32, 32, 3);
  CHECK(stages_of(text) ==
        "stem 8x16x16 f32*1 -> activation | 16 in 6\n"
        "hidden 0 activation 8x16x16 -> 48 -> 12x16x16 expand f32*6 -> filtered | 6 in 6\n"
        "project 0 filtered 8x16x16 -> 48 -> 12x16x16 project f32*2 -> next_activation | 256 in 3\n"
        "hidden 1 next_activation 12x16x16 -> 72 -> 12x16x16 expand f32*9 -> filtered | 9 in 6\n"
        "project 1 filtered 12x16x16 -> 72 -> 12x16x16 project f32*2 + next_activation -> activation | "
        "256 in 3\n"
        "tail activation 12x16x16 f32*3 -> features 24, logits | 3 in 3\n"
        "logits 6 | 1 in 1\n");
}

TEST_CASE("plan: without a head the last projection is the tail's, and there may be no classifier") {
  Architecture architecture = make_separable_architecture(8, {{1, 16, 1}, {1, 24, 2}}, 7);
  architecture.dense.clear();
  CHECK(stages_of(text_of(architecture, 32, 32, 1)) ==
        "groups 0 planes 8x16x16 -> 8 -> 16x16x16+ chunks 1 stem f32*1 project f32*2 -> activation | 1 in 1\n"
        "hidden 1 activation 16x16x16+ -> 16 -> 16x8x8 -> next_activation | 2 in 2\n"
        "tail next_activation 16x8x8 f32*3 -> features 24 | 3 in 2\n");
}

TEST_CASE("plan: in lower precisions a small map is filtered whole, then projected, also by one thread") {
  const Architecture architecture = make_architecture(8, {{1, 10, 1}, {6, 12, 2}, {6, 12, 1}}, 24, 6);
  CHECK(stages_of(text_of(architecture, 60, 40, 1, Precision::int8)) ==
        "bands 0 planes 8x30x20 -> 8 -> 10x30x20 rows 4 ring 6 stem f32*1 project int8*2 -> activation | "
        "30 in 1\n"
        "bands 1 activation 10x30x20 -> 60 -> 12x15x10 rows 4 ring 9 expand int8*8 project int8*2 -> "
        "next_activation | 15 in 1\n"
        "hidden 2 next_activation 12x15x10 -> 72 -> 12x15x10 expand int8*9 -> filtered | 9 in 1\n"
        "project 2 filtered 12x15x10 -> 72 -> 12x15x10 project int8*2 + next_activation -> activation | "
        "150 in 1\n"
        "prepare head int8 activation -> prepared_head | 150 in 2\n"
        "tail activation 12x15x10 int8*3 -> features 24 | 3 in 2\n"
        "dense features 24 int8*1 -> dense 6 | 1 in 1\n");
  const std::string bf16 = stages_of(text_of(architecture, 60, 40, 2, Precision::bfloat16));
  CHECK(bf16.starts_with("round planes -> rounded_planes | 186 in 4\nbands 0 planes"));
  CHECK(
      bf16.find("hidden 2 next_activation 12x15x10 -> 72 -> 12x15x10 expand bf16*9 -> filtered | 9 in 4\n") !=
      std::string::npos);
}

TEST_CASE("plan: hidden layers take turns with two buffers, and large ones are shared by panels") {
  Architecture architecture = make_separable_architecture(8, {{1, 16, 1}}, 7);
  set_dense(architecture, {{40}, {100}, {33}, {7}});
  const NetworkPlan plan = plan_of(architecture, 32, 32);
  const Schedule schedule = make_schedule(plan, 2);
  const std::string text = describe(plan, schedule);
  CHECK(text.substr(text.find("tail "), text.find("\nplanes ") + 1 - text.find("tail ")) ==
        "tail activation 8x16x16 f32*2 -> features 16, logits | 2 in 2\n"
        "logits 40 | 1 in 1\n"
        "dense logits 40 f32*13 -> dense 100 | 13 in 4\n"
        "dense dense 100 f32*5 -> next_dense 33 | 5 in 4\n"
        "dense next_dense 33 f32*1 -> dense 7 | 1 in 1\n");
  CHECK(schedule.outputs == BufferId::dense);
  CHECK(schedule.memory.bytes(BufferId::dense) == 104 * 4 + 32);  // whole cache lines
  CHECK(schedule.memory.bytes(BufferId::next_dense) == 48 * 4);   // of 40, whole cache lines
  CHECK(plan.layers == static_cast<int>(architecture.layers().size()));
}

TEST_CASE("plan: buffers are as large as their largest use, and threads have their own") {
  const Architecture architecture = make_architecture(8, {{6, 12, 1}, {6, 12, 1}}, 24, 6);
  const NetworkPlan plan = plan_of(architecture, 32, 32);
  const MemoryPlan one = make_schedule(plan, 1).memory, three = make_schedule(plan, 3).memory;
  CHECK(one.bytes(BufferId::planes) == 13888);  // 3 x 34 x 34 floats, to whole cache lines
  CHECK(one.bytes(BufferId::activation) == 16 * 16 * 12 * 4);
  CHECK(one.bytes(BufferId::sums) == 2 * 16 * 16 * 12 * 4);
  CHECK(one.bytes(BufferId::filtered) == 0);
  CHECK(three.bytes(BufferId::filtered) == 16 * 16 * 72 * 4);
  CHECK(one.bytes(BufferId::rows) == 40 * 16 * 18 * 4);  // the wider chunk's
  CHECK(three.offset(BufferId::rows, 2) - three.offset(BufferId::rows, 1) ==
        three.bytes(BufferId::rows) + three.bytes(BufferId::filtered_rows) +
            three.bytes(BufferId::head_panel));
  CHECK(three.total() == three.offset(BufferId::head_panel, 2) + three.bytes(BufferId::head_panel));
}

TEST_CASE("plan: no two buffers overlap") {
  MemoryPlan memory(3);
  for (int i = 0; i < kBuffers; ++i) memory.need(static_cast<BufferId>(i), 1 + std::size_t(i) * 100);
  memory.need(BufferId::rows, 5);  // smaller than before
  std::size_t end = 0;
  for (int i = 0; i < kBuffers; ++i) {
    const auto id = static_cast<BufferId>(i);
    CHECK(memory.bytes(id) == (std::size_t(i) * 100 + 64) / 64 * 64);
    if (is_per_thread(id)) continue;
    CHECK(memory.offset(id) == end);
    end += memory.bytes(id);
  }
  for (int thread = 0; thread < 3; ++thread)
    for (int i = 0; i < kBuffers; ++i) {
      const auto id = static_cast<BufferId>(i);
      if (!is_per_thread(id)) continue;
      CHECK(memory.offset(id, thread) == end);
      end += memory.bytes(id);
    }
  CHECK(memory.total() == end);
}

TEST_CASE("plan: what takes more than 2 GiB is refused, threads and all") {
  const NetworkPlan plan = plan_of(make_architecture(16, {{6, 16, 1}}, 16, 3), 4096, 4096);
  CHECK_NOTHROW(make_schedule(plan, 1));
  CHECK(error_message(ErrorCode::invalid_argument, [&] { make_schedule(plan, 1000); }) ==
        "input size: 4096 x 4096 needs more than 2 GiB of memory with this network");
}

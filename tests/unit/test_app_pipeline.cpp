#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <new>
#include <string>
#include <utility>

#include "app/inputs/make_inputs.h"
#include "app/models/engine.h"
#include "app/pipeline/classifier.h"
#include "app/pipeline/memory_budget.h"
#include "app/pipeline/pipeline.h"
#include "app/run/make_sinks.h"
#include "support/catch.h"
#include "support/image_bytes.h"
#include "support/model_builder.h"
#include "support/temp_dir.h"

using namespace mnv2::app;
using mnv2::test::TempDir;

namespace {

// Memory that runs out on the workers' threads only: the test's own thread must be able to report.
thread_local bool is_test_thread = false;
std::atomic<bool> is_armed{false};
std::atomic<int> allocations_left{0};

bool allocation_fails() { return !is_test_thread && is_armed.load() && allocations_left.fetch_sub(1) <= 0; }

/// Called once on this thread, before it allocates `watched_bytes`.
thread_local std::size_t watched_bytes = 0;
thread_local std::function<void()>* watcher = nullptr;

void watch_allocation(std::size_t bytes) {
  if (bytes != watched_bytes || watcher == nullptr) return;
  const std::function<void()>* const call = std::exchange(watcher, nullptr);
  (*call)();
}

}  // namespace

// Not inlined: where g++ 12 sees through one of a pair, it takes malloc and delete, or new and free, for a
// mismatch.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  watch_allocation(bytes);
  void* memory = allocation_fails() ? nullptr : std::malloc(bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

TEST_CASE("workers that run out of memory end the run with an exception, not the process") {
  const TempDir folder;
  const auto model = folder / "tiny.safetensors";
  mnv2::test::write_file(model, mnv2::test::serialize_model(mnv2::test::tiny_architecture(10)));
  const std::string photos = (folder / "a name too long to be stored inside a string").string();
  std::filesystem::create_directory(photos);
  for (int i = 0; i < 20; ++i) mnv2::test::write_file(photos + "/" + std::to_string(i) + ".png", "no image");

  Classify plan;
  plan.run.model.search.flag = model.string();
  plan.run.inputs.named = {.paths = {photos, photos}};
  PipelinePlan& pipeline = plan.run.pipeline;
  pipeline.layout = Layout::text;  // nlohmann/json allocates in its destructor, which may not throw
  pipeline.threads = pipeline.images_at_once = 2;
  pipeline.log_failures = false;
  pipeline.classifier.pictures.max_pixels = 1;
  const Engine engine =
      load_engine(plan.run.model, mnv2::best_isa(), mnv2::Precision::float32, pipeline.threads);
  is_test_thread = true;
  const auto output = folder / "records";
  int survived = 0, ended = 0;
  for (int allocations = 0; allocations < 4000; allocations = allocations * 9 / 8 + 1) {
    std::FILE* file = std::fopen(output.c_str(), "wb");
    REQUIRE(file != nullptr);
    Output records(fileno(file));
    allocations_left = allocations;
    is_armed = true;
    std::size_t written = 0;
    try {
      const auto inputs = make_inputs(plan.run.inputs);
      const auto sinks = make_sinks(engine, plan, records);
      written = classify_all(engine, pipeline, *inputs, sinks).records;
      ++survived;
      CHECK(written == 40);
    } catch (const std::bad_alloc&) {
      ++ended;
    }
    is_armed = false;
    std::fclose(file);
    std::ifstream lines(output);
    std::size_t whole = 0;
    for (std::string line; std::getline(lines, line); ++whole) CHECK(line.rfind(photos, 0) == 0);
    CHECK((whole == written || written == 0));
  }
  CHECK(ended > 0);
  CHECK(survived > 0);
}

TEST_CASE("an image's memory is free for others while the network runs") {
  const TempDir folder;
  const auto path = folder / "tiny.safetensors";
  mnv2::test::write_file(path, mnv2::test::serialize_model(mnv2::test::tiny_architecture(10)));
  const ModelPlan model{.search = {.flag = path.string()}};
  Engine engine = load_engine(model, mnv2::best_isa(), mnv2::Precision::float32, 1);
  constexpr std::size_t kLabelBytes = 1234;  // nothing else is as long
  engine.labels.assign(10, std::string(kLabelBytes, 'x'));

  const auto png = ::test::png(::test::ihdr(1, 2, 8, 0), {0, 7, 0, 9});
  const auto image = folder / "image.png";
  mnv2::test::write_file(image, std::string(png.begin(), png.end()));
  ImageMemory memory(1);
  const ClassifierPlan plan;
  Classifier classifier(engine, plan, 1, memory);

  // The labels are copied when the network has run: then others can have all of the memory for pixels.
  int calls = 0;
  std::future<void> other;
  std::function<void()> take_all = [&] {
    ++calls;
    other = std::async(std::launch::async, [&] {
      MemoryBudget::Part part;
      part.take(memory.pixels, std::int64_t{1} << 40);
    });
    CHECK(other.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  };
  watched_bytes = kLabelBytes + 1;
  watcher = &take_all;
  const Result result = classifier.classify({.path = image.string()});
  watcher = nullptr;
  CHECK(calls == 1);
  CHECK_FALSE(result.record.error);
}

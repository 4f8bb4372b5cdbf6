#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/inputs/named_source.h"
#include "app/pipeline/exchange.h"
#include "support/catch.h"

using namespace mnv2::app;

namespace {

NamedSource source_of(std::vector<std::string> paths) { return NamedSource({.paths = std::move(paths)}); }

/// As many inputs as one asks for; says how many.
class CountingSource : public InputSource {
 public:
  std::optional<Input> next() override { return Input{.path = std::to_string(asked_++)}; }
  int asked() const { return asked_; }

 private:
  std::atomic<int> asked_ = 0;
};

Result result_of(const Exchange::Job& job) { return {.record = {.path = job.input.path}}; }

}  // namespace

TEST_CASE("results come out in the order of the inputs, whatever is done first") {
  NamedSource source = source_of({"a", "b", "c"});
  Exchange exchange(source, 8, Order::inputs);
  const auto a = exchange.take(), b = exchange.take(), c = exchange.take();
  CHECK_FALSE(exchange.take());
  exchange.put(c->number, result_of(*c));
  exchange.put(a->number, result_of(*a));
  exchange.put(b->number, result_of(*b));
  for (const char* path : {"a", "b", "c"}) CHECK(exchange.next()->record.path == path);
  CHECK_FALSE(exchange.next());
  CHECK(exchange.exhausted());
}

TEST_CASE("or as they are done") {
  NamedSource source = source_of({"a", "b", "c"});
  Exchange exchange(source, 8, Order::completion);
  const auto a = exchange.take(), b = exchange.take(), c = exchange.take();
  exchange.put(c->number, result_of(*c));
  CHECK(exchange.next()->record.path == "c");
  exchange.put(b->number, result_of(*b));
  exchange.put(a->number, result_of(*a));
  for (const char* path : {"b", "a"}) CHECK(exchange.next()->record.path == path);
  CHECK_FALSE(exchange.take());
  CHECK_FALSE(exchange.next());
}

namespace {

/// Inputs from nowhere whose content, of 40 MiB each, is there for the asking.
class Members : public InputSource {
 public:
  std::optional<Input> next() override {
    return Input{.path = std::to_string(number_++), .load = [](Input& input) {
                   input.content = std::make_shared<const std::vector<std::uint8_t>>(std::size_t{40} << 20);
                   return true;
                 }};
  }

 private:
  int number_ = 0;
};

}  // namespace

TEST_CASE("no more bytes of files are held than there is room for, by inputs or results") {
  Members source;
  Exchange exchange(source, 100, Order::inputs);
  auto a = exchange.take(), b = exchange.take();
  CHECK(b->input.content->size() == std::size_t{40} << 20);
  Result with_content = result_of(*a);
  with_content.content = a->input.content;
  exchange.put(a->number, std::move(with_content));
  a.reset();
  std::atomic<bool> has_third = false;
  std::thread worker([&] { has_third = exchange.take().has_value(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_FALSE(has_third);
  CHECK(exchange.next()->content->size() == std::size_t{40} << 20);  // and is gone then
  worker.join();
  CHECK(has_third);
}

TEST_CASE("the wait for such room ends with the run") {
  Members source;
  Exchange exchange(source, 100, Order::inputs);
  const auto a = exchange.take(), b = exchange.take();
  bool has_third = true;
  std::thread worker([&] { has_third = exchange.take().has_value(); });
  exchange.stop();
  worker.join();
  CHECK_FALSE(has_third);
}

TEST_CASE("an input whose loading a signal ends is none") {
  class Stopped : public InputSource {
    std::optional<Input> next() override {
      return Input{.load = [](Input&) { return false; }};
    }
  } source;
  Exchange exchange(source, 8, Order::inputs);
  CHECK_FALSE(exchange.take());
  CHECK_FALSE(exchange.next());
}

TEST_CASE("no more inputs are out than there is room for") {
  for (const Order order : {Order::inputs, Order::completion}) {
    CountingSource source;
    Exchange exchange(source, 2, order);
    const auto first = exchange.take(), second = exchange.take();
    exchange.put(first->number, result_of(*first));
    exchange.put(second->number, result_of(*second));
    std::thread worker([&] {  // takes until it is stopped, and puts at once
      while (const auto job = exchange.take()) exchange.put(job->number, result_of(*job));
    });
    for (int written = 0; written < 4; ++written) {
      // Room for one more after each result that was taken away. Too many are asked for at once, or never.
      while (source.asked() < written + 2) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      CHECK(source.asked() == written + 2);
      CHECK(exchange.next()->record.path == std::to_string(written));
    }
    exchange.stop();
    worker.join();
  }
}

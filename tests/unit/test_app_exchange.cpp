#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/inputs/named_source.h"
#include "app/pipeline/exchange.h"
#include "support/catch.h"

using namespace mnv2::app;

namespace {

NamedSource source_of(std::vector<std::string> paths) { return NamedSource({.paths = std::move(paths)}); }

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

TEST_CASE("no more inputs are out than there is room for") {
  NamedSource source = source_of({"a", "b", "c"});
  Exchange exchange(source, 2, Order::inputs);
  const auto a = exchange.take(), b = exchange.take();
  exchange.put(b->number, result_of(*b));
  std::thread worker([&] {  // waits until the first result has been taken away
    if (const auto c = exchange.take()) exchange.put(c->number, result_of(*c));
  });
  exchange.put(a->number, result_of(*a));
  for (const char* path : {"a", "b", "c"}) CHECK(exchange.next()->record.path == path);
  worker.join();
}

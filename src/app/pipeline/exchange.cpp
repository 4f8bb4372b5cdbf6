#include "app/pipeline/exchange.h"

#include <utility>

#include "app/base/signals.h"

namespace mnv2::app {
namespace {

/// Of inputs under way that are no files: a few photos for each worker, whatever the window.
constexpr std::size_t kContentBytes = std::size_t{64} << 20;

}  // namespace

std::optional<Exchange::Job> Exchange::take() {
  // Walking folders may be slow: results still come back meanwhile.
  const std::scoped_lock taking(input_mutex_);
  {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] {
      return stopped_ || (taken_ < written_ + results_.size() && content_bytes_ < kContentBytes);
    });
    if (stopped_) return std::nullopt;
  }
  std::optional<Input> input;
  if (stop_signal() == 0) input = inputs_.next();
  if (input && !load_content(*input)) input.reset();
  if (input && input->content) count_content(*input);
  const std::scoped_lock lock(mutex_);
  if (!input) {
    exhausted_ = !stopped_;
    stopped_ = true;
    ready_.notify_one();
    return std::nullopt;
  }
  return Job{taken_++, std::move(*input)};
}

/// Until the last who holds it lets it go: that may be a result that waits to be written.
void Exchange::count_content(Input& input) {
  const std::size_t bytes = input.content->size();
  {
    const std::scoped_lock lock(mutex_);
    content_bytes_ += bytes;
  }
  input.content = {input.content.get(), [this, held = input.content, bytes](const void*) mutable {
                     held.reset();
                     const std::scoped_lock lock(mutex_);
                     content_bytes_ -= bytes;
                     room_.notify_one();
                   }};
}

void Exchange::put(std::size_t number, Result result) {
  const std::scoped_lock lock(mutex_);
  const std::size_t place = order_ == Order::inputs ? number : put_;
  results_[place % results_.size()] = std::move(result);
  ++put_;
  if (place == written_) ready_.notify_one();
}

std::optional<Result> Exchange::next() {
  std::unique_lock lock(mutex_);
  std::optional<Result>& slot = results_[written_ % results_.size()];
  ready_.wait(lock, [&] { return slot || failure_ || (stopped_ && written_ == taken_); });
  if (!slot) return std::nullopt;
  std::optional<Result> result = std::exchange(slot, std::nullopt);
  ++written_;
  room_.notify_one();
  return result;
}

void Exchange::stop() {
  const std::scoped_lock lock(mutex_);
  stopped_ = true;
  room_.notify_all();
}

void Exchange::fail(std::exception_ptr failure) {
  const std::scoped_lock lock(mutex_);
  failure_ = std::move(failure);
  stopped_ = true;
  room_.notify_all();
  ready_.notify_one();
}

void Exchange::rethrow() const {
  if (failure_) std::rethrow_exception(failure_);
}

}  // namespace mnv2::app

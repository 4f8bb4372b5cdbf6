#include "app/bench/crew.h"

namespace mnv2::app {

Crew::Crew(int size) {
  for (int i = 1; i < size; ++i)
    workers_.emplace_back([this, i](const std::stop_token& stop) { serve(stop, i); });
}

void Crew::run(const std::function<void(int)>& job) {
  {
    const std::scoped_lock lock(mutex_);
    job_ = &job;
    ++jobs_;
    busy_ = size() - 1;
  }
  changed_.notify_all();
  job(0);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return busy_ == 0; });
}

void Crew::serve(const std::stop_token& stop, int index) {
  for (std::size_t done = 0;; ++done) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [&] { return jobs_ != done; })) return;
    const std::function<void(int)>& job = *job_;
    lock.unlock();
    job(index);
    lock.lock();
    if (--busy_ == 0) changed_.notify_all();
  }
}

}  // namespace mnv2::app

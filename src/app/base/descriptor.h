// A file descriptor that is closed at its end.
#pragma once

#include <unistd.h>

#include <utility>

namespace mnv2::app {

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(Descriptor&& other) noexcept : value_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return value_; }
  bool is_open() const { return value_ >= 0; }
  /// The descriptor, which is the caller's to close from now on.
  int release() { return std::exchange(value_, -1); }

 private:
  int value_ = -1;
};

}  // namespace mnv2::app

// What --bench says about the machine and this process.
#pragma once

#include <cstdint>
#include <string>

namespace mnv2::app {

/// The processor's name, as /proc/cpuinfo has it.
std::string cpu_name();

/// The most memory that this process has held so far.
std::uint64_t peak_rss_bytes();

}  // namespace mnv2::app

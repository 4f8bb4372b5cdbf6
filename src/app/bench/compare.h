// --compare: this run beside an earlier one.
#pragma once

#include <string>

#include "app/bench/report.h"

namespace mnv2::app {

/// What a comparison needs of a report that --bench wrote as JSON, also one of an earlier version.
/// @throws UsageError when `path` cannot be read or is something else
BenchReport read_report(const std::string& path);

/// @param file where `earlier` came from.
Comparison compare(const BenchReport& now, const BenchReport& earlier, const std::string& file);

}  // namespace mnv2::app

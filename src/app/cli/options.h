// The command line as the user wrote it, checked flag by flag. What follows from it is the plan's business.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/base/log.h"
#include "app/cli/help.h"
#include "app/results/place_file.h"
#include "mnv2/precision.h"
#include "mnv2/preprocess.h"

namespace mnv2::app {

enum class Format { json, jsonl, csv, text };

enum class When { automatic, always, never };

/// The arithmetic of the network.
struct PrecisionChoice {
  std::optional<Precision> named = Precision::float32;  // nothing: the quickest here
};

/// How JPEGs are decoded.
enum class Decode {
  exact,  ///< every pixel, as torchvision has them
  fast,   ///< large ones at a part of their size
};

struct Options {
  std::vector<std::string> inputs;  // files, folders, "-" for a list on stdin; any bytes
  std::optional<std::string> files_from;
  bool null_separated = false;
  std::optional<int> max_depth;
  bool hidden = false;
  bool any_name = false;
  std::vector<std::string> exclude;
  bool archives = false;
  std::optional<std::string> shard;
  bool unordered = false;
  bool byte_order_mark = false;  // before CSV

  std::optional<std::string> model;
  std::optional<std::string> labels;
  std::optional<int> top_k;
  std::optional<Format> format;
  float min_prob = 0;  // 0..1
  std::optional<std::string> output;
  bool resume = false;
  std::optional<std::string> embeddings;
  std::optional<std::string> html;
  std::optional<std::string> sort_into;
  std::optional<SortAs> sort_as;

  PreprocessingChanges preprocessing;
  bool no_exif = false;
  std::int64_t max_pixels = 178'956'970;  // as Pillow
  std::optional<Decode> decode = {};

  std::vector<int> threads;  // empty: by the machine; several only for --bench
  std::vector<int> batch;    // empty: by the threads, for --bench 1; several only for --bench
  std::optional<std::string> isa;
  std::optional<PrecisionChoice> precision = {};
  bool fast = false;  // --decode fast --precision fast, but for what is named

  bool summary = false;
  bool list_models = false;

  bool eval = false;
  std::optional<std::string> truth;

  bool bench = false;
  double bench_seconds = 2;
  bool per_layer = false;
  std::optional<std::string> compare;

  Verbosity verbosity = Verbosity::normal;
  When progress = When::automatic;
  Color color = Color::automatic;
  bool version = false;
  std::optional<std::string> help;  // the text to show, when it was asked for
};

/// @param arguments without the program's name.
/// @throws UsageError with a message that names the flag, what was expected and what was found.
Options parse_options(const std::vector<std::string>& arguments);

/// All flags, by group, for manuals.
std::vector<FlagGroup> all_flags();

}  // namespace mnv2::app

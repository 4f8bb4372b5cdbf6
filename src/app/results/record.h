// What is known about one input after it was classified, or why it was not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mnv2/error.h"

namespace mnv2::app {

struct RecordError {
  ErrorCode code = ErrorCode::internal;
  std::string message;
};

/// Where an image came from that is no file of its own.
struct ArchiveMember {
  std::string archive;  // path
  std::string name;     // as the archive has it
};

/// A class with its name. The index and the label belong together: ImageNet's 0 is "tench".
struct LabeledPrediction {
  int index = 0;
  std::string label;
  float probability = 0;  // a score where the record has no probabilities
};

/// What the number of a prediction is called.
constexpr const char* measure_name(bool is_probability) { return is_probability ? "probability" : "score"; }

/// Where the time of one image went, in milliseconds.
struct Timings {
  double read_ms = 0;
  double decode_ms = 0;
  double preprocess_ms = 0;
  double inference_ms = 0;
};

struct Record {
  std::string path = {};                     // as given or walked, any bytes
  std::optional<ArchiveMember> member = {};  // of an image in an archive, whose path is ARCHIVE/MEMBER
  std::optional<RecordError> error = {};     // the fields below are set only without it
  int width = 0;                             // pixels, upright
  int height = 0;
  int orientation = 1;  // the EXIF orientation that was applied; 1: none
  std::vector<std::string> warnings = {};
  bool has_classes = true;                  // false for a model without classifier: there is no top then
  bool has_probabilities = true;            // false for a model whose outputs are scores
  std::vector<LabeledPrediction> top = {};  // most probable first
  std::optional<Timings> timings = {};      // when asked for
};

}  // namespace mnv2::app

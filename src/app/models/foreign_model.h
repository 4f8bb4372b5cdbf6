// Files of other programs that people give for a model: what they are, and what makes a model file of them.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "mnv2/model.h"

namespace mnv2::app {

/// The file (or folder) of another program; details() has the command that converts it, or why none does.
class ForeignModel : public std::runtime_error {
 public:
  ForeignModel(const std::string& message, std::vector<std::string> details)
      : std::runtime_error(message), details_(std::move(details)) {}
  const std::vector<std::string>& details() const { return details_; }

 private:
  std::vector<std::string> details_;
};

/// What is at `path`, by its first bytes or, of an archive or a folder, by the names in it; nothing where it is no model of
/// any program known here, or cannot be read.
std::optional<ForeignModel> recognise_foreign_model(const std::string& path);

/// Model::load, which takes `path` as it is.
/// @throws ForeignModel when it is another program's, Error as Model::load.
Model load_model(const std::string& path);

}  // namespace mnv2::app

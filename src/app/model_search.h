// Where the model file is: named by the user, or in one of the places where data of programs live.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mnv2::app {

/// The file name looked for in each folder.
inline constexpr char kModelFileName[] = "mobilenet_v2.safetensors";

/// What the search depends on. Empty strings count as unset, as the XDG base directory specification says.
struct ModelSearch {
  std::string flag = {};           // --model
  std::string mnv2_model = {};     // $MNV2_MODEL
  std::string xdg_data_home = {};  // $XDG_DATA_HOME, else $HOME/.local/share
  std::string home = {};           // $HOME
  std::string xdg_data_dirs = {};  // $XDG_DATA_DIRS, else /usr/local/share:/usr/share
  std::string program = {};        // path of the running program; its ../share is searched
  std::string source_models = {};  // models/ of the source tree that the program was built from
};

/// No model file was found; details() has a line for every path tried and the command that makes one.
class ModelNotFound : public std::runtime_error {
 public:
  ModelNotFound(const std::string& message, std::vector<std::string> details)
      : std::runtime_error(message), details_(std::move(details)) {}
  const std::vector<std::string>& details() const { return details_; }

 private:
  std::vector<std::string> details_;
};

/// The paths to try, in order, without repetition. A path named by flag or variable stands alone.
std::vector<std::string> model_candidates(const ModelSearch& search);

/// The first candidate that exists. One that exists but cannot be read is not passed over: loading it tells
/// why.
/// @throws ModelNotFound
std::string find_model(const ModelSearch& search);

}  // namespace mnv2::app

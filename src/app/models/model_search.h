// Where the model file is: named by the user, or in one of the places where data of programs live.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mnv2::app {

/// A model named NAME is NAME.safetensors in one of the folders; "imagenet" is the one of torchvision's
/// weights.
inline constexpr char kModelSuffix[] = ".safetensors";
inline constexpr char kImagenet[] = "imagenet";
inline constexpr char kImagenetStem[] = "mobilenet_v2";
/// The model that comes with the program: it stands in where there is no other.
inline constexpr char kStandIn[] = "figure-kinds";

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

/// The folders that models are looked for in, in order, without repetition.
std::vector<std::string> model_folders(const ModelSearch& search);

/// The paths to try, in order. A path named by flag or variable stands alone; a bare name, which is no file
/// here, is looked for in every folder; without any, ImageNet's model is looked for in every folder, then the
/// one that stands in.
std::vector<std::string> model_candidates(const ModelSearch& search);

/// The first candidate that exists. One that exists but cannot be read is not passed over: loading it tells
/// why.
/// @throws ModelNotFound
std::string find_model(const ModelSearch& search);

/// Whether nobody asked for the model at `path`, which stands in for ImageNet's.
bool stands_in(const ModelSearch& search, const std::string& path);

/// How ImageNet's model is made, for messages.
std::vector<std::string> how_to_make_a_model();

}  // namespace mnv2::app

#include "app/model_search.h"

#include <algorithm>
#include <filesystem>

namespace mnv2::app {
namespace {

namespace fs = std::filesystem;

constexpr char kProgramFolder[] = "mnv2-classify";
constexpr char kHowToMake[] = "make one from torchvision's weights:";
constexpr char kCommand[] =
    "  scripts/convert_torchvision.py --weights IMAGENET1K_V1 --output models/mobilenet_v2.safetensors";

/// The absolute paths in a colon-separated list; relative ones are to be ignored (XDG base directory
/// specification).
std::vector<fs::path> absolute_paths(const std::string& list) {
  std::vector<fs::path> paths;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(':', begin), list.size());
    if (end > begin && list[begin] == '/') paths.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return paths;
}

}  // namespace

std::vector<std::string> model_candidates(const ModelSearch& search) {
  if (!search.flag.empty()) return {search.flag};
  if (!search.mnv2_model.empty()) return {search.mnv2_model};

  std::vector<std::string> candidates;
  const auto add = [&](const fs::path& folder) {
    std::string path = (folder / kModelFileName).string();
    if (std::find(candidates.begin(), candidates.end(), path) == candidates.end())
      candidates.push_back(std::move(path));
  };
  const std::vector<fs::path> data_home = absolute_paths(search.xdg_data_home);
  if (!data_home.empty()) {
    add(data_home.front() / kProgramFolder);
  } else if (!search.home.empty()) {
    add(fs::path(search.home) / ".local/share" / kProgramFolder);
  }
  const bool has_dirs = !search.xdg_data_dirs.empty();
  for (const fs::path& folder :
       absolute_paths(has_dirs ? search.xdg_data_dirs : "/usr/local/share:/usr/share"))
    add(folder / kProgramFolder);
  if (!search.program.empty())
    add(fs::path(search.program).parent_path().parent_path() / "share" / kProgramFolder);
  if (!search.source_models.empty()) add(search.source_models);
  return candidates;
}

std::string find_model(const ModelSearch& search) {
  const std::vector<std::string> candidates = model_candidates(search);
  const bool named = !search.flag.empty() || !search.mnv2_model.empty();
  for (const std::string& path : candidates) {
    std::error_code error;
    const bool exists = fs::exists(path, error);
    // A named file that cannot be reached is tried all the same: opening it tells why.
    if (exists || (named && error)) return path;
  }
  if (named) {
    const char* origin = search.flag.empty() ? "$MNV2_MODEL" : "--model";
    throw ModelNotFound("model '" + candidates.front() + "' (from " + origin + "): no such file",
                        {kHowToMake, kCommand});
  }
  std::vector<std::string> details;
  for (const std::string& path : candidates) details.push_back("tried " + path);
  details.insert(details.end(), {"name one with --model or $MNV2_MODEL, or", kHowToMake, kCommand});
  throw ModelNotFound("no model found", std::move(details));
}

}  // namespace mnv2::app

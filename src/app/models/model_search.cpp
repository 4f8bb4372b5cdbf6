#include "app/models/model_search.h"

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

/// What the user named, by flag or variable; empty for nothing.
const std::string& named_model(const ModelSearch& search) {
  return search.flag.empty() ? search.mnv2_model : search.flag;
}

/// Whether `name` is a model's name and not a path: no '/', no suffix, and no file here is called so.
bool is_bare_name(const std::string& name) {
  std::error_code error;
  return name.find('/') == std::string::npos && !name.ends_with(kModelSuffix) && !fs::exists(name, error);
}

std::string file_name_of(const std::string& name) {
  return (name == kImagenet ? kImagenetStem : name) + kModelSuffix;
}

}  // namespace

std::vector<std::string> model_folders(const ModelSearch& search) {
  std::vector<std::string> folders;
  const auto add = [&](const fs::path& folder) {
    if (std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder.string());
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
  return folders;
}

std::vector<std::string> model_candidates(const ModelSearch& search) {
  const std::string& named = named_model(search);
  if (!named.empty() && !is_bare_name(named)) return {named};
  std::vector<std::string> names{named};
  if (named.empty()) names = {kImagenet, kStandIn};
  std::vector<std::string> candidates;
  for (const std::string& name : names)
    for (const std::string& folder : model_folders(search))
      candidates.push_back((fs::path(folder) / file_name_of(name)).string());
  return candidates;
}

std::string find_model(const ModelSearch& search) {
  const std::vector<std::string> candidates = model_candidates(search);
  const std::string& named = named_model(search);
  const bool is_path = !named.empty() && !is_bare_name(named);
  for (const std::string& path : candidates) {
    std::error_code error;
    const bool exists = fs::exists(path, error);
    // A named file that cannot be reached is tried all the same: opening it tells why.
    if (exists || (is_path && error)) return path;
  }
  const std::string origin = search.flag.empty() ? "$MNV2_MODEL" : "--model";
  const std::string what =
      named.empty() ? "no model found" : "model '" + named + "' (from " + origin + "): no such file";
  if (is_path) throw ModelNotFound(what, how_to_make_a_model());
  std::vector<std::string> details;
  for (const std::string& path : candidates) details.push_back("tried " + path);
  if (!named.empty() && named != kImagenet) {
    details.emplace_back("mnv2-classify --list-models tells what is there");
    throw ModelNotFound(what, std::move(details));
  }
  if (named.empty()) details.emplace_back("name one with --model or $MNV2_MODEL, or");
  for (std::string& line : how_to_make_a_model()) details.push_back(std::move(line));
  throw ModelNotFound(what, std::move(details));
}

bool stands_in(const ModelSearch& search, const std::string& path) {
  return named_model(search).empty() && fs::path(path).filename() == file_name_of(kStandIn);
}

std::vector<std::string> how_to_make_a_model() { return {kHowToMake, kCommand}; }

}  // namespace mnv2::app

#include "app/models/list_models.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "app/base/json.h"
#include "app/base/log.h"
#include "mnv2/error.h"
#include "mnv2/model.h"

namespace mnv2::app {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> model_files_in(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == kModelSuffix) files.push_back(entry->path());
  std::sort(files.begin(), files.end());
  return files;
}

Json describe(const fs::path& path) {
  const std::string stem = path.stem().string();
  Json json = {{"name", stem == kImagenetStem ? kImagenet : stem}, {"path", path.string()}};
  try {
    const Model model = Model::load(path);
    json["classes"] = model.architecture().num_classes();
    json["input_size"] = model.preprocessing().crop;
    json["architecture"] = model.architecture().name;
    json["source"] = model.source();
  } catch (const Error& e) {
    json["error"] = {{"code", error_code_name(e.code())}, {"message", e.what()}};
  }
  return json;
}

/// What a run without --model takes; empty for nothing.
std::string taken_model(const ModelSearch& search) {
  try {
    return find_model(search);
  } catch (const ModelNotFound&) {
    return {};
  }
}

/// Says of each whether a run without --model takes it ("taken"), and of one whose name another has, earlier in the
/// search, which one that is ("hidden_by").
void mark(Json& models, const std::string& taken) {
  for (Json& model : models) {
    const auto same_name = [&](const Json& other) { return other["name"] == model["name"]; };
    const auto first = std::find_if(models.begin(), models.end(), same_name);
    model["hidden_by"] = &*first == &model ? Json() : Json((*first)["path"]);
    std::error_code error;
    model["taken"] = !taken.empty() && fs::equivalent(model["path"].get<std::string>(), taken, error);
  }
}

std::string to_text(const Json& models, const ModelSearch& search, const std::string& taken) {
  std::string out;
  bool listed = false;  // the one that is taken
  for (const Json& model : models) {
    out += printable(model["name"].get<std::string>());
    listed = listed || model["taken"].get<bool>();
    if (model["taken"].get<bool>())
      out += search.mnv2_model.empty() ? "  (taken without --model)" : "  (taken: $MNV2_MODEL names it)";
    if (!model["hidden_by"].is_null())
      out += "  (only by its path: " + printable(model["hidden_by"].get<std::string>()) + " has this name)";
    out += "\n  " + printable(model["path"].get<std::string>()) + "\n  ";
    if (model.contains("error")) {
      out += "cannot be used: " + printable(model["error"]["message"].get<std::string>()) + "\n";
      continue;
    }
    const int classes = model["classes"].get<int>();
    const std::string side = std::to_string(model["input_size"].get<int>());
    out += (classes == 0 ? "features only" : std::to_string(classes) + " classes") + ", input " + side + "x" +
           side + ", " + printable(model["architecture"].get<std::string>()) + ", " +
           printable(model["source"].get<std::string>()) + "\n";
  }
  if (!listed && !taken.empty()) out += "taken: $MNV2_MODEL names " + printable(taken) + "\n";
  if (!out.empty()) return out;
  out = "no model found in\n";
  for (const std::string& folder : model_folders(search)) out += "  " + printable(folder) + "\n";
  for (const std::string& line : how_to_make_a_model()) out += line + "\n";
  return out;
}

}  // namespace

std::string list_models(const ModelSearch& search, Layout layout) {
  Json models = Json::array();
  for (const std::string& folder : model_folders(search))
    for (const fs::path& path : model_files_in(folder)) models.push_back(describe(path));
  const std::string taken = taken_model(search);
  mark(models, taken);
  if (layout == Layout::text) return to_text(models, search, taken);
  return (layout == Layout::json_lines ? dump_line(models) : dump_indented(models)) + "\n";
}

}  // namespace mnv2::app

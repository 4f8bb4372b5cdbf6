#include "app/docs/docs.h"

namespace mnv2::app {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

// The names of the models that the program finds, and files.
constexpr char kModels[] =
    R"( -r -F -a '(mnv2-classify --list-models -f json 2>/dev/null | string replace -rf "^ *\\{\"name\":\"([^\"]*)\".*" "\$1")')";

/// Of `complete`: -r needs a value, -F files are offered, -f they are not, -x is -r -f.
std::string value_options(const Flag& flag) {
  switch (value_kind(flag)) {
    case ValueKind::none: return {};
    case ValueKind::choice: return " -x -a " + quoted(spaced(flag.choices()));
    case ValueKind::model: return kModels;
    case ValueKind::file: return " -r -F";
    case ValueKind::folder: return " -x -a '(__fish_complete_directories)'";
    case ValueKind::other: break;
  }
  return " -x";
}

}  // namespace

std::string fish_completion(std::span<const FlagGroup> groups) {
  std::string text = "# fish completion for mnv2-classify, made from its table of flags.\n";
  for (const FlagGroup& group : groups) {
    for (const Flag& flag : group.flags) {
      text += "complete -c mnv2-classify";
      if (!flag.short_name.empty()) text += " -s " + flag.short_name.substr(1);
      text += " -l " + flag.name.substr(2) + value_options(flag) + " -d " + quoted(flag.description) + "\n";
    }
  }
  return text;
}

}  // namespace mnv2::app

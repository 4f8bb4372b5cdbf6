#include "app/docs/docs.h"

namespace mnv2::app {
namespace {

/// `text` for an explanation of _arguments, in single quotes.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

// The names of the models that the program finds, and files.
constexpr char kModels[] =
    R"sh((( $+functions[_mnv2_classify_models] )) || _mnv2_classify_models() {
  local -a names
  names=(${(f)"$(_call_program models ${(q)words[1]} --list-models -f json 2>/dev/null |
    sed -n 's/^ *{"name":"\([^"]*\)".*/\1/p')"})
  _alternative "models:model:($names)" 'files:file:_files'
}
)sh";

/// What completes the value, after the explanation.
std::string action(const Flag& flag) {
  switch (value_kind(flag)) {
    case ValueKind::none: return {};
    case ValueKind::choice: return ":word:(" + spaced(flag.choices()) + ")";
    case ValueKind::model: return ":model:_mnv2_classify_models";
    case ValueKind::file: return ":file:_files";
    case ValueKind::folder: return ":folder:_files -/";
    case ValueKind::other: break;
  }
  return ":" + quoted(flag.value) + ": ";
}

std::string specification(const Flag& flag) {
  const bool takes_value = !flag.value.empty();
  const std::string long_name = flag.name + (takes_value ? "=" : "");
  const std::string rest = "'[" + quoted(flag.description) + "]" + action(flag) + "'";
  if (flag.short_name.empty()) return long_name + rest;
  const std::string both = flag.short_name + " " + flag.name;
  return "'(" + both + ")'{" + flag.short_name + (takes_value ? "+" : "") + "," + long_name + "}" + rest;
}

}  // namespace

std::string zsh_completion(std::span<const FlagGroup> groups) {
  std::string text =
      "#compdef mnv2-classify\n"
      "# zsh completion for mnv2-classify, made from its table of flags.\n\n" +
      std::string(kModels) + "\n_arguments -s -S \\\n";
  for (const FlagGroup& group : groups)
    for (const Flag& flag : group.flags) text += "  " + specification(flag) + " \\\n";
  return text + "  '*:image, folder or -:_files'\n";
}

}  // namespace mnv2::app

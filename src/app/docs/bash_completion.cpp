#include <vector>

#include "app/docs/docs.h"

namespace mnv2::app {
namespace {

constexpr char kBegin[] =
    R"(# bash completion for mnv2-classify, made from its table of flags.

_mnv2_classify() {
  local current=${COMP_WORDS[COMP_CWORD]} flag=${COMP_WORDS[COMP_CWORD - 1]} i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -- ]] && return # only files from here on
  done
  if [[ $current == = ]]; then # readline splits --flag=value at its "="
    current=
  elif [[ $flag == = ]]; then
    flag=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $flag in
)";

// Where COMPREPLY stays empty readline completes file names, unless the function takes that back.
constexpr char kEnd[] =
    R"(  esac
  if [[ $current == -?* || $current == - ]]; then
    compopt +o bashdefault +o default
    COMPREPLY=($(compgen -W '@flags@' -- "$current"))
  fi
}

complete -o bashdefault -o default -F _mnv2_classify mnv2-classify
)";

// The names of the models that the program finds; where none fits, files.
constexpr char kModels[] =
    R"sh(      COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" --list-models -f json 2>/dev/null |
        sed -n 's/^ *{"name":"\([^"]*\)".*/\1/p')" -- "$current"))
)sh";

std::string names(const Flag& flag) {
  return flag.short_name.empty() ? flag.name : flag.short_name + " | " + flag.name;
}

std::string case_of(const Flag& flag) {
  constexpr char kNoFiles[] = "      compopt +o bashdefault +o default\n";
  std::string text = "    " + names(flag) + ")\n";
  switch (value_kind(flag)) {
    case ValueKind::none: return {};
    case ValueKind::choice:
      text += kNoFiles;
      text += "      COMPREPLY=($(compgen -W '" + spaced(flag.choices()) + "' -- \"$current\"))\n";
      break;
    case ValueKind::model: text += kModels; break;
    case ValueKind::file: break;
    case ValueKind::folder:
      text += kNoFiles;
      text += "      compopt -o dirnames\n";
      break;
    case ValueKind::other: text += kNoFiles; break;
  }
  return text + "      return\n      ;;\n";
}

}  // namespace

std::string bash_completion(std::span<const FlagGroup> groups) {
  std::string text = kBegin;
  std::vector<std::string> flags;
  for (const FlagGroup& group : groups) {
    for (const Flag& flag : group.flags) {
      text += case_of(flag);
      if (!flag.short_name.empty()) flags.push_back(flag.short_name);
      flags.push_back(flag.name);
    }
  }
  std::string end = kEnd;
  constexpr std::string_view kPlace = "@flags@";
  end.replace(end.find(kPlace), kPlace.size(), spaced(flags));
  return text + end;
}

}  // namespace mnv2::app

#include <algorithm>
#include <string>
#include <string_view>

#include "app/docs/docs.h"

namespace mnv2::app {
namespace {

/// Plain text for roff: backslashes and hyphens as themselves, nothing taken for a request.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool begins_line = out.empty() || out.back() == '\n';
    if (begins_line && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '"') {
      out += "\\(dq";
    } else if (c == '~' || c == '^' || c == '`') {
      out += c == '~' ? "\\(ti" : c == '^' ? "\\(ha" : "\\(ga";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + escaped(text) + "\\fR"; }

/// `text` with line breaks at blanks, which mean the same to roff: long lines are hard to compare and mend.
std::string wrapped(std::string_view text) {
  constexpr std::size_t kLongest = 72;
  std::string out;
  std::size_t line = 0;  // where it begins in `out`
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    if (out.size() > line) {
      const bool fits = out.size() - line + 1 + (end - begin) <= kLongest;
      out += fits ? ' ' : '\n';
      if (!fits) line = out.size();
    }
    out += text.substr(begin, end - begin);
    begin = end + 1;
  }
  return out;
}

std::string section(std::string_view name) { return ".SH " + std::string(name) + "\n"; }

/// A term with its meaning indented below it.
std::string item(const std::string& term, std::string_view meaning) {
  return ".TP\n" + term + "\n" + escaped(wrapped(meaning)) + "\n";
}

/// "json|text" with bold words, "FILE" in italics. A line may break after each "|".
std::string value_of(const Flag& flag) {
  const auto choices = flag.choices();
  if (choices.empty()) return italic(flag.value);
  std::string text;
  for (const std::string& word : choices) text += (text.empty() ? "" : "|\\:") + bold(word);
  return text;
}

std::string option(const Flag& flag) {
  std::string term = flag.short_name.empty() ? "" : bold(flag.short_name) + ", ";
  term += bold(flag.name);
  if (!flag.value.empty()) term += " " + value_of(flag);
  return item(term, flag.description);
}

constexpr char kDescription[] =
    "Classifies images on the CPU with networks of the MobileNet family and gives the answers that PyTorch "
    "gives. Folders are walked recursively, in the order of the bytes of their names. Each input gives one "
    "record on standard output, in the order of the inputs, also an input that cannot be classified; a bad "
    "file never stops a run. Messages go to standard error.";

constexpr char kInputs[] =
    "Inputs are files, folders and \"-\", which is standard input: a list of paths, or an image. Everything "
    "after \"--\" is an input, even if it begins with a dash. In folders, names that end in .jpg, .jpeg, "
    ".jpe, "
    ".jfif, .png or .webp count; hidden ones do not. The file type is taken from its first bytes, not its "
    "name.";

struct Meaning {
  const char* term;
  const char* meaning;
};

constexpr Meaning kFields[] = {
    {"path", "as it was given or found; path_base64 has its bytes, too, when they are not UTF-8"},
    {"status", "ok or error"},
    {"width, height", "in pixels, upright"},
    {"top",
     "the most probable classes: index, label and probability (or score, if the model's outputs are scores)"},
    {"orientation", "the EXIF orientation that was undone, if any"},
    {"warnings", "what the decoder said about a damaged file that it could read"},
    {"error", "code and message, for an input that could not be classified"},
    {"timings_ms", "with --verbose: read, decode, preprocess, inference"},
};

constexpr Meaning kStatuses[] = {
    {"0", "all inputs were classified, or the reader of the results has gone"},
    {"1", "some input failed"},
    {"2", "wrong usage"},
    {"3", "the model cannot be used"},
    {"4", "results could not be written or put in place; the same command may succeed another time"},
    {"130, 143",
     "as a shell shows it: died of SIGINT or SIGTERM, after the images under way had been finished and "
     "written"},
};

constexpr Meaning kVariables[] = {
    {"MNV2_MODEL", "the model file, without --model"},
    {"MNV2_ISA", "the instruction set, without --isa"},
    {"XDG_DATA_HOME, XDG_DATA_DIRS", "where to look for the model file"},
    {"NO_COLOR", "when it is not empty: no colours, unless --color asks for them"},
    {"SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT", "the shard, with --shard slurm"},
};

constexpr Meaning kFiles[] = {
    {"$XDG_DATA_HOME/mnv2-classify/mobilenet_v2.safetensors",
     "the model file; without XDG_DATA_HOME, below ~/.local/share"},
    {"/usr/local/share/mnv2-classify/, /usr/share/mnv2-classify/",
     "or the folders that XDG_DATA_DIRS names, and the share/ beside the program's folder: the model files "
     "of "
     "all users"},
};

template <std::size_t kCount>
std::string list(const Meaning (&meanings)[kCount]) {
  std::string text;
  for (const auto& [term, meaning] : meanings) text += item(bold(term), meaning);
  return text;
}

}  // namespace

std::string man_page(std::span<const FlagGroup> groups, std::string_view version, std::string_view date) {
  std::string text = ".\\\" Made from the table of flags.\n.TH MNV2\\-CLASSIFY 1 " + std::string(date) +
                     " \"mnv2\\-classify " + std::string(version) + "\" \"User Commands\"\n";
  text += section("NAME") + "mnv2\\-classify \\- tell what is in images\n";
  text += section("SYNOPSIS") +
          ".B mnv2\\-classify\n.RI [ flag ]...\n.IR file \" | \" folder \" | \\fB\\-\\fR...\"\n";
  text +=
      section("DESCRIPTION") + escaped(wrapped(kDescription)) + "\n.PP\n" + escaped(wrapped(kInputs)) + "\n";
  text += section("OPTIONS");
  for (const FlagGroup& group : groups) {
    text += ".SS " + group.name + "\n";
    for (const Flag& flag : group.flags) text += option(flag);
  }
  text += section("RECORDS") + "A record in JSON has\n" + list(kFields);
  text += section("\"EXIT STATUS\"") + list(kStatuses);
  text += section("ENVIRONMENT") + list(kVariables);
  text += section("FILES") + list(kFiles);
  text += section("EXAMPLES");
  for (const Example& example : examples()) text += item(bold(example.command), example.meaning);
  return text + section("\"SEE ALSO\"") + ".BR find (1),\n.BR parallel (1)\n";
}

}  // namespace mnv2::app

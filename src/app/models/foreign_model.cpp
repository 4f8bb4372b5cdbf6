#include "app/models/foreign_model.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "app/models/zip_names.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

namespace fs = std::filesystem;

/// What a file or folder is, and why nothing converts it, if so.
struct Kind {
  std::string what;
  std::string obstacle = {};
};

/// A kind whose files are told by an ending of their names.
struct NamedKind {
  std::string_view ending;
  std::string_view what;
};

/// In archives and folders; the first that is found.
constexpr std::array kNamedKinds{NamedKind{"model.weights.h5", "a Keras model"},
                                 NamedKind{".keras", "a Keras model"},
                                 NamedKind{".h5", "a Keras model"},
                                 NamedKind{".tflite", "a TensorFlow Lite model"},
                                 NamedKind{"model.json", "a TensorFlow.js model"},
                                 NamedKind{".onnx", "an ONNX model"},
                                 NamedKind{".pth", "a PyTorch checkpoint"},
                                 NamedKind{".pt", "a PyTorch checkpoint"}};

constexpr std::string_view kNoSavedModel =
    "TensorFlow's SavedModel is not read: save it as .keras or .h5 from Keras";
constexpr std::string_view kNoProgram =
    "a TorchScript program is not read: save the state_dict of the module that it was made from";

std::optional<Kind> kind_among(const std::vector<std::string>& names) {
  const auto has = [&](std::string_view ending) {
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name == ending || (name.size() > ending.size() && name.ends_with(ending) &&
                                (ending.front() == '.' || name[name.size() - ending.size() - 1] == '/'));
    });
  };
  if (has("saved_model.pb")) return Kind{"a TensorFlow SavedModel", std::string(kNoSavedModel)};
  if (has("data.pkl") && has("constants.pkl")) return Kind{"a TorchScript program", std::string(kNoProgram)};
  if (has("data.pkl")) return Kind{"a PyTorch checkpoint"};
  if (has("config.json") && (has("model.safetensors") || has("pytorch_model.bin")))
    return Kind{"a Hugging Face model"};
  for (const NamedKind& kind : kNamedKinds)
    if (has(kind.ending)) return Kind{std::string(kind.what)};
  return std::nullopt;
}

std::optional<Kind> kind_of_folder(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  std::optional<Kind> kind = kind_among(names);
  if (kind) kind->what = "a folder with " + kind->what;
  return kind;
}

/// A safetensors file begins with the length of its header, which is JSON (models/README.md).
bool is_safetensors_of_others(std::string_view start) {
  constexpr std::size_t kLengthBytes = 8;
  if (start.size() <= kLengthBytes || start[kLengthBytes] != '{') return false;
  if (start.substr(3, 5) != std::string_view("\0\0\0\0\0", 5)) return false;  // at most 16 MiB
  return start.find("mnv2-classify") == std::string_view::npos;
}

/// A protobuf message whose first field is ONNX' ir_version, a small number, and the next its producer or its graph.
bool is_onnx(std::string_view start) {
  return start.size() > 2 && start[0] == 0x08 && start[1] > 0 && start[1] < 0x20 &&
         (start[2] == 0x12 || start[2] == 0x3a || start[2] == 0x42);
}

std::optional<Kind> kind_of_file(const fs::path& path) {
  constexpr std::size_t kStartBytes = std::size_t{1} << 20;  // the metadata may come after the tensors' names
  std::ifstream file(path, std::ios::binary);
  std::string start(kStartBytes, '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  const std::string_view bytes = start;
  if (bytes.starts_with("PK\3\4")) {
    std::optional<Kind> kind = kind_among(zip_names(file));
    const std::string extension = path.extension().string();
    if (kind && extension == ".zip") kind->what = "an archive with " + kind->what;
    return kind;
  }
  if (bytes.starts_with("\x89HDF\r\n\x1a\n")) return Kind{"an HDF5 file, as Keras writes them"};
  if (bytes.size() > 8 && bytes.substr(4, 4) == "TFL3") return Kind{"a TensorFlow Lite model"};
  // Protocol 2 and later, as torch.save wrote before it wrote archives.
  if (bytes.size() > 2 && bytes[0] == '\x80' && bytes[1] >= 2 && bytes[1] <= 5)
    return Kind{"a PyTorch checkpoint"};
  if (bytes.find("\"weightsManifest\"") != std::string_view::npos && bytes.find('{') < 16)
    return Kind{"a TensorFlow.js model"};
  if (is_onnx(bytes)) return Kind{"an ONNX model"};
  if (is_safetensors_of_others(bytes)) return Kind{"a safetensors file of another program"};
  return std::nullopt;
}

/// `text` as one word of a shell's command.
std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/+-,:@%=";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

/// Where the model file would be: beside `path`, under its name.
std::string model_file_beside(const std::string& path) {
  constexpr std::string_view kSuffix = ".safetensors";
  fs::path source(path);
  if (!source.has_filename()) source = source.parent_path();  // "folder/"
  if (source.extension() == kSuffix)
    return source.replace_extension().string() + "-mnv2" + std::string(kSuffix);
  std::error_code error;
  if (fs::is_directory(source, error)) return source.string() + std::string(kSuffix);
  return source.replace_extension(kSuffix).string();
}

}  // namespace

std::optional<ForeignModel> recognise_foreign_model(const std::string& path) {
  std::error_code error;
  const std::optional<Kind> kind = fs::is_directory(path, error)      ? kind_of_folder(path)
                                   : fs::is_regular_file(path, error) ? kind_of_file(path)
                                                                      : std::nullopt;
  if (!kind) return std::nullopt;
  const std::string message = path + " is " + kind->what + ", not a model file of this program";
  if (!kind->obstacle.empty()) return ForeignModel(message, {kind->obstacle});
  return ForeignModel(message, {"this makes one of it, if its network is a MobileNet:",
                                "  scripts/convert.py " + shell_word(path) + " --output " +
                                    shell_word(model_file_beside(path))});
}

Model load_model(const std::string& path) {
  try {
    return Model::load(path);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::invalid_model || e.code() == ErrorCode::file_unreadable)
      if (const std::optional<ForeignModel> foreign = recognise_foreign_model(path)) throw *foreign;
    throw;
  }
}

}  // namespace mnv2::app

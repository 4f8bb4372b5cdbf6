#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "app/image/header_parts.h"

namespace mnv2::image {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 20;  // as Pillow
constexpr int kMaxTexts = 64;                                // a megabyte each, so that they cannot take long

std::string_view view_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// Nothing for damaged data, and for more than a profile has.
std::optional<std::string> inflated(std::string_view data) {
  std::string text(kMaxTextBytes, '\0');
  uLongf size = text.size();
  const auto* source = reinterpret_cast<const Bytef*>(data.data());
  if (uncompress(reinterpret_cast<Bytef*>(text.data()), &size, source, data.size()) != Z_OK)
    return std::nullopt;
  text.resize(size);
  return text;
}

struct Text {
  std::string key;
  std::string value;
};

/// PNG specification, sections 11.3.4.3 to 11.3.4.5. @param wanted only texts with such a key are inflated.
template <typename Wanted>
std::optional<Text> read_text(std::string_view type, std::string_view data, const Wanted& wanted) {
  const auto take_word = [&data]() -> std::optional<std::string> {  // that ends with a NUL
    const std::size_t end = data.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    std::string word(data.substr(0, end));
    data.remove_prefix(end + 1);
    return word;
  };
  const std::optional<std::string> key = take_word();
  if (!key || !wanted(*key)) return std::nullopt;
  bool is_compressed = type == "zTXt";
  const std::size_t flags = type == "tEXt" ? 0 : type == "zTXt" ? 1 : 2;
  if (data.size() < flags) return std::nullopt;
  if (type == "iTXt") is_compressed = data[0] == 1;
  data.remove_prefix(flags);
  if (type == "iTXt" && !(take_word() && take_word())) return std::nullopt;  // the language and the key in it
  const std::optional<std::string> value = is_compressed ? inflated(data) : std::string(data);
  if (!value) return std::nullopt;
  return Text{*key, *value};
}

/// ImageMagick's: an empty line, a name, a number of bytes, and lines of hexadecimal digits.
std::optional<int> orientation_of_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  std::vector<std::uint8_t> bytes;
  std::string digits;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c))) continue;
    if (!std::isxdigit(static_cast<unsigned char>(c))) return std::nullopt;
    digits += c;
    if (digits.size() < 2) continue;
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
    digits.clear();
  }
  return exif_orientation(bytes);
}

/// tiff:Orientation="6" or <tiff:Orientation>6</...>
std::optional<int> orientation_of_xmp(std::string_view text) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (std::size_t at = text.find(kName); at != std::string_view::npos; at = text.find(kName, at)) {
    at += kName.size();
    const std::string_view rest = text.substr(at);
    const std::size_t sign = rest.starts_with("=\"") ? 2 : rest.starts_with('>') ? 1 : 0;
    if (sign == 0 || rest.size() <= sign || !std::isdigit(static_cast<unsigned char>(rest[sign]))) continue;
    const int value = rest[sign] - '0';
    return value >= 1 && value <= 8 ? value : 1;
  }
  return std::nullopt;
}

}  // namespace

void PngTexts::read(std::string_view type, Bytes data) {
  if (type != "tEXt" && type != "zTXt" && type != "iTXt") return;
  constexpr std::string_view kProfile = "Raw profile type exif", kXmp = "XML:com.adobe.xmp";
  const auto is_wanted = [&](const std::string& key) {
    return (key == kProfile || key == kXmp) && ++texts_ <= kMaxTexts;
  };
  const std::optional<Text> text = read_text(type, view_of(data), is_wanted);
  if (!text) return;
  if (text->key == kProfile)
    exif_orientation_ = orientation_of_profile(text->value);
  else
    xmp_orientation_ = orientation_of_xmp(text->value);
}

}  // namespace mnv2::image

#include "app/results/csv.h"

#include <algorithm>

#include "app/base/json.h"

namespace mnv2::app {
namespace {

// RFC 4180, section 2.1.
constexpr std::string_view kLineBreak = "\r\n";

void append(std::string& line, std::string_view text) { line.append(",").append(csv_field(text)); }

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out.append(out.empty() ? "" : "; ").append(text);
  return out;
}

}  // namespace

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out += '"';
}

std::string_view without_byte_order_mark(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return text;
}

std::string csv_header(const CsvColumns& columns) {
  std::string line(columns.byte_order_mark ? kByteOrderMark : "");
  line += "path,status,width,height";
  for (int i = 1; i <= columns.predictions; ++i)
    for (const char* name : {"index", "label", measure_name(columns.probabilities)})
      append(line, name + std::to_string(i));
  return line.append(",error_code,error_message,warnings").append(kLineBreak);
}

std::string csv_record(const Record& record, int predictions) {
  std::string line = csv_field(record.path);
  append(line, record.error ? "error" : "ok");
  append(line, record.error ? "" : std::to_string(record.width));
  append(line, record.error ? "" : std::to_string(record.height));
  for (std::size_t i = 0; i < static_cast<std::size_t>(predictions); ++i) {
    if (i < record.top.size()) {
      append(line, std::to_string(record.top[i].index));
      append(line, record.top[i].label);
      append(line, dump_line(Json(record.top[i].probability)));  // the digits that the JSON layouts have
    } else {
      line += ",,,";
    }
  }
  append(line, record.error ? error_code_name(record.error->code) : "");
  append(line, record.error ? record.error->message : "");
  append(line, joined(record.warnings));
  return line.append(kLineBreak);
}

CsvLine parse_csv_line(std::string_view text, char separator) {
  enum class At { field_start, bare, quoted, quote_in_quoted };
  const auto malformed = [&] {
    const std::size_t end = text.find('\n');
    return end == std::string_view::npos ? CsvLine{CsvLine::State::torn, text.size(), {}}
                                         : CsvLine{CsvLine::State::malformed, end + 1, {}};
  };
  CsvLine line;
  std::string field;
  At at = At::field_start;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (at == At::quoted) {
      if (c == '"') {
        at = At::quote_in_quoted;
      } else {
        field += c;
      }
    } else if (c == separator || c == '\n') {
      if (c == '\n' && at != At::quote_in_quoted && field.ends_with('\r')) field.pop_back();
      line.fields.push_back(std::move(field));
      field.clear();
      at = At::field_start;
      if (c == '\n') {
        line.state = CsvLine::State::whole;
        line.bytes = i + 1;
        return line;
      }
    } else if (c == '"') {
      if (at == At::bare) return malformed();
      if (at == At::quote_in_quoted) field += '"';
      at = At::quoted;
    } else if (at == At::quote_in_quoted) {
      if (c != '\r') return malformed();
    } else {
      field += c;
      at = At::bare;
    }
  }
  line.bytes = text.size();
  line.fields.clear();
  return line;
}

}  // namespace mnv2::app

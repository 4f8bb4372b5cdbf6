#include "app/csv_reader.h"

#include <cerrno>
#include <system_error>
#include <utility>

#include "app/options.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kMaxRowBytes = std::size_t{1} << 20;

}  // namespace

CsvReader::CsvReader(std::string flag, std::string path)
    : flag_(std::move(flag)), path_(std::move(path)), file_(std::fopen(path_.c_str(), "rb")) {
  if (file_ == nullptr)
    throw UsageError(flag_ + ": " + path_ + ": " + std::generic_category().message(errno));
  for (const int byte : {0xEF, 0xBB, 0xBF}) {
    const int c = std::getc(file_.get());
    if (c == byte) continue;
    std::rewind(file_.get());
    break;
  }
}

void CsvReader::fail(const std::string& why) const {
  throw UsageError(flag_ + ": " + path_ + ", line " + std::to_string(row_line_) + ": " + why);
}

int CsvReader::get() {
  const int c = std::getc(file_.get());
  if (c == EOF && std::ferror(file_.get())) fail(std::generic_category().message(errno));
  if (c == '\n') ++line_;
  if (++row_bytes_ > kMaxRowBytes) fail("a row of more than 1 MiB");
  return c;
}

std::string CsvReader::read_quoted() {
  std::string field;
  while (true) {
    int c = get();
    if (c == EOF) fail("a quote is not closed");
    if (c == '"') {
      c = std::getc(file_.get());
      if (c != '"') {
        if (c != EOF) std::ungetc(c, file_.get());
        return field;
      }
    }
    field += static_cast<char>(c);
  }
}

std::optional<std::vector<std::string>> CsvReader::next() {
  std::vector<std::string> row(1);
  bool quoted = false;  // the field that is being read
  row_line_ = line_;
  row_bytes_ = 0;
  while (true) {
    const int c = get();
    const bool at_end = c == EOF || c == '\n';
    if (at_end && !quoted && !row.back().empty() && row.back().back() == '\r') row.back().pop_back();
    if (at_end && row.size() == 1 && row.front().empty() && !quoted) {
      if (c == EOF) return std::nullopt;
      row_line_ = line_;
      row_bytes_ = 0;
    } else if (at_end) {
      return row;
    } else if (c == ',') {
      row.emplace_back();
      quoted = false;
    } else if (c == '"' && row.back().empty() && !quoted) {
      row.back() = read_quoted();
      quoted = true;
    } else if (!quoted) {
      row.back() += static_cast<char>(c);
    } else if (c != '\r') {
      fail("text behind a closing quote");
    }
  }
}

}  // namespace mnv2::app

#include "app/eval/csv_reader.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include "app/base/signals.h"
#include "app/base/usage_error.h"
#include "app/results/csv.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kMaxRowBytes = std::size_t{1} << 20;
constexpr std::size_t kChunkBytes = std::size_t{1} << 16;

}  // namespace

CsvReader::CsvReader(std::string flag, std::string path) : flag_(std::move(flag)), path_(std::move(path)) {
  const int descriptor = open_interruptibly(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw UsageError(flag_ + ": " + path_ + ": " + std::generic_category().message(errno));
  file_.reset(fdopen(descriptor, "rb"));
  read_more();
  begin_ = text_.size() - without_byte_order_mark(text_).size();
  find_separator();
}

/// The one of which the first line has the most outside of quotes.
void CsvReader::find_separator() {
  const auto fields = [&](char separator) {
    const CsvLine row = parse_csv_line(std::string_view(text_).substr(begin_), separator);
    return row.state == CsvLine::State::whole ? row.fields.size() : 0;
  };
  while (text_.find('\n', begin_) == std::string::npos && text_.size() <= kMaxRowBytes && read_more()) {
  }
  for (const char candidate : {';', '\t'})
    if (fields(candidate) > fields(separator_)) separator_ = candidate;
}

void CsvReader::fail(const std::string& why) const {
  throw UsageError(flag_ + ": " + path_ + ", line " + std::to_string(row_line_) + ": " + why);
}

/// Whether there was more; the last line gets a line break where it has none.
bool CsvReader::read_more() {
  if (at_end_) return false;
  text_.erase(0, std::exchange(begin_, 0));
  const std::size_t before = text_.size();
  text_.resize(before + kChunkBytes);
  const std::size_t got = std::fread(text_.data() + before, 1, kChunkBytes, file_.get());
  text_.resize(before + got);
  if (std::ferror(file_.get())) fail(std::generic_category().message(errno));
  at_end_ = got == 0;
  if (at_end_ && !text_.empty() && text_.back() != '\n') {
    text_ += '\n';
    return true;
  }
  return !at_end_;
}

std::optional<std::vector<std::string>> CsvReader::next() {
  while (true) {
    row_line_ = line_;
    const std::string_view rest = std::string_view(text_).substr(begin_);
    CsvLine row = parse_csv_line(rest, separator_);
    if (row.state == CsvLine::State::torn) {
      if (rest.size() > kMaxRowBytes) fail("a row of more than 1 MiB");
      if (read_more()) continue;
      if (begin_ == text_.size()) return std::nullopt;
      fail("a quote is not closed");
    }
    if (row.state == CsvLine::State::malformed) fail("a quote in the middle of a field");
    const auto row_begin = rest.begin();
    line_ += static_cast<std::size_t>(
        std::count(row_begin, row_begin + static_cast<std::ptrdiff_t>(row.bytes), '\n'));
    const bool empty = rest[0] == '\n' || (rest[0] == '\r' && rest[1] == '\n');
    begin_ += row.bytes;
    if (!empty) return std::move(row.fields);
  }
}

}  // namespace mnv2::app

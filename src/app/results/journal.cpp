#include "app/results/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "app/base/json.h"
#include "app/base/log.h"
#include "app/base/usage_error.h"
#include "app/results/csv.h"
#include "app/results/lock.h"
#include "mnv2/error.h"

namespace mnv2::app {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::size_t kMaxLine = std::size_t{256} << 20;  // a record of a million classes has 100 MB
constexpr std::string_view kJsonBeginning = R"({"path":")";

[[noreturn]] void fail(const std::string& what, int error) {
  throw Error(ErrorCode::file_unreadable,
              "--resume: " + what + ": " + std::generic_category().message(error));
}

JournalLine parse_json_line(std::string_view text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return {.state = JournalLine::State::torn, .bytes = text.size()};
  JournalLine line{.state = JournalLine::State::foreign, .bytes = end + 1};
  const Json json = Json::parse(text.substr(0, end), nullptr, false);
  const auto string_at = [&](const char* key) {
    const auto member = json.find(key);
    return member == json.end() || !member->is_string() ? nullptr : member->get_ptr<const std::string*>();
  };
  if (!json.is_object()) return line;
  const std::string* path = string_at("path");
  const std::string* status = string_at("status");
  if (path == nullptr || status == nullptr || (*status != "ok" && *status != "error")) return line;
  line.path = *path;
  line.failed = *status == "error";
  if (json.contains("path_base64")) {
    const std::string* encoded = string_at("path_base64");
    std::optional<std::string> bytes = encoded == nullptr ? std::nullopt : from_base64(*encoded);
    if (!bytes) return line;
    line.path = std::move(*bytes);
  }
  line.state = JournalLine::State::record;
  return line;
}

JournalLine parse_csv_journal_line(std::string_view text) {
  CsvLine csv = parse_csv_line(text);
  if (csv.state == CsvLine::State::torn) return {.state = JournalLine::State::torn, .bytes = csv.bytes};
  JournalLine line{.state = JournalLine::State::foreign, .bytes = csv.bytes};
  if (csv.state == CsvLine::State::malformed || csv.fields.size() < 2) return line;
  const std::string& status = csv.fields[1];
  if (without_byte_order_mark(csv.fields[0]) == "path" && status == "status")
    line.state = JournalLine::State::header;
  if (status != "ok" && status != "error") return line;
  line.state = JournalLine::State::record;
  line.failed = status == "error";
  line.path = std::move(csv.fields[0]);
  return line;
}

/// For a message.
std::string first_line(std::string_view line) {
  return printable(line.substr(0, line.find_first_of("\r\n")));
}

}  // namespace

JournalLine parse_journal_line(std::string_view text, Layout layout) {
  return layout == Layout::csv ? parse_csv_journal_line(text) : parse_json_line(text);
}

Journal::Journal(std::string path, Layout layout, const CsvColumns& columns) : path_(std::move(path)) {
  open_locked();
  read(layout, framing(layout, columns).before);
  done_.seal();
  output_.emplace(file_.get(), path_, lines_ > 0);
  if (foreign_ > 0) {
    log_warning(path_ + ": " + std::to_string(foreign_) +
                (foreign_ == 1 ? " line is no record" : " lines are no records") +
                " and left as found, first in line " + std::to_string(first_foreign_));
  }
  log_info(path_ + ": has " + std::to_string(records_) + " records, which are not made again");
}

void Journal::open_locked() {
  // Not blocking: opening a FIFO would wait for its reader.
  constexpr int kFlags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  file_ = Descriptor(open(path_.c_str(), kFlags, 0666));
  struct stat info {};
  if (file_.is_open() && fstat(file_.get(), &info) == 0 && !S_ISREG(info.st_mode))
    throw UsageError("--resume: " + path_ +
                     " is no regular file, so it cannot hold what an earlier run wrote");
  if (!file_.is_open() && errno == EISDIR)
    throw UsageError("--output: " + path_ + " is a folder, expected a file");
  if (!file_.is_open()) fail("cannot write " + path_, errno);
  const Lock lock = lock_file(file_.get(), path_);
  if (lock == Lock::held)
    throw Error(ErrorCode::file_unreadable, "--resume: another run is writing to " + path_);
  if (lock == Lock::failed) fail("cannot lock " + path_, errno);
}

/// Refuses a file that is not ours before anything of it is changed.
void Journal::check_beginning(std::string_view text, Layout layout, const std::string& header) const {
  const bool is_csv = layout == Layout::csv;
  const std::string_view expected = is_csv ? std::string_view(header) : kJsonBeginning;
  const auto begins = [](std::string_view found, std::string_view wanted) {
    const std::size_t common = std::min(wanted.size(), found.size());
    return found.substr(0, common) == wanted.substr(0, common);
  };
  // With a byte order mark or without: as it was begun.
  if (begins(text, expected)) return;
  if (is_csv && begins(without_byte_order_mark(text), without_byte_order_mark(expected))) return;
  const std::string hint =
      is_csv && without_byte_order_mark(text).starts_with("path,status,")
          ? "its columns are not those of this run; was --top-k the same?"
          : "it does not begin as a result of --format " + std::string(is_csv ? "csv" : "jsonl");
  throw UsageError("--resume: " + path_ + ": " + hint + ": '" + first_line(text.substr(0, 100)) +
                   "', expected '" + first_line(expected) + "'; the file is left as it was");
}

void Journal::read(Layout layout, const std::string& header) {
  std::string text;  // from the beginning of a line
  off_t at = 0;      // where `text` ends in the file
  bool at_end = false;
  while (!at_end) {
    const std::size_t before = text.size();
    if (before > kMaxLine)
      throw UsageError("--resume: " + path_ + ": line " + std::to_string(lines_ + 1) + " has more than " +
                       std::to_string(kMaxLine >> 20) + " MiB; the file is left as it was");
    text.resize(before + std::max(kChunk, before));  // doubled: a long line is not scanned over and over
    const ssize_t got = pread(file_.get(), text.data() + before, text.size() - before, at);
    if (got < 0 && errno != EINTR) fail("cannot read " + path_, errno);
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) continue;
    at += got;
    at_end = got == 0;
    if (lines_ == 0 && before == 0) check_beginning(text, layout, header);
    std::size_t begin = 0;
    while (begin < text.size()) {
      const JournalLine line = parse_journal_line(std::string_view(text).substr(begin), layout);
      if (line.state == JournalLine::State::torn) break;
      note(line);
      begin += line.bytes;
    }
    text.erase(0, begin);
  }
  if (!text.empty()) cut(at - static_cast<off_t>(text.size()), at);
}

void Journal::note(const JournalLine& line) {
  ++lines_;
  if (line.state == JournalLine::State::record) {
    ++records_;
    failed_ += line.failed ? 1 : 0;
    done_.add(line.path);
  } else if (line.state == JournalLine::State::foreign || lines_ > 1) {
    if (foreign_++ == 0) first_foreign_ = lines_;
  }
}

void Journal::cut(off_t end, off_t size) {
  if (ftruncate(file_.get(), end) != 0) fail("cannot cut the torn last line off " + path_, errno);
  log_warning(path_ + ": dropped a torn last line of " + std::to_string(size - end) + " bytes");
}

void Journal::finish(bool complete) {
  if (output_->state() == Output::State::open && fsync(file_.get()) != 0) output_->fail(errno);
  if (!complete || output_->state() != Output::State::open)
    log_warning(path_ + ": the run is not complete; the same command goes on from here");
}

}  // namespace mnv2::app

#include "app/results/html_sink.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "app/base/json.h"
#include "app/results/writer.h"
#include "mnv2/version.h"

namespace mnv2::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = 100;  // records: a megabyte with thumbnails

/// A path for a link (RFC 3986): all bytes but a few as %XX.
std::string url_path(std::string_view path) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          c == '/' || c == '.' || c == '-' || c == '_';
    if (is_plain) {
      out += c;
    } else {
      out.append("%").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  return out;
}

/// What leads from the report's folder to the one that the records' paths are relative to.
std::string link_base(const std::string& report) {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  const fs::path folder = fs::weakly_canonical(fs::absolute(report, error).parent_path(), error);
  const std::string relative = here.lexically_relative(folder).string();
  if (relative.empty() || relative == ".") return "";
  return url_path(relative) + "/";
}

void append(std::string& list, std::string_view item) {
  if (!list.empty()) list += ',';
  list += item;
}

std::string script(std::string_view attributes, std::string_view content) {
  return std::string("<script ") + std::string(attributes) + ">" + std::string(content) + "</script>\n";
}

}  // namespace

std::string json_in_html(std::string_view json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {  // in JSON it stands in strings only
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

HtmlSink::HtmlSink(const std::string& path, const Settings& settings) : file_("--html", path) {
  Json run{{"program", "mnv2-classify " MNV2_VERSION_STRING},
           {"model", settings.model},
           {"base", link_base(path)},
           {"classes", settings.classes}};
  if (!settings.labels.empty()) run["labels"] = settings.labels;
  if (!settings.probabilities) run["scores"] = true;
  if (settings.independent) run["independent"] = true;
  if (settings.evaluation) run["evaluation"] = true;
  beginning_ = script(R"(type="application/json" id="run")", json_in_html(dump_line(run)));
}

/// Not before the first result, so that a run that is refused leaves nothing.
void HtmlSink::begin() {
  if (beginning_.empty()) return;
  file_.output().write(report_page());
  file_.output().write(std::exchange(beginning_, {}));
}

void HtmlSink::take(const Result& result) {
  begin();
  std::string record = format_record(result.record, Layout::json_lines);
  record.pop_back();  // the line break
  append(records_, json_in_html(record));
  append(truths_, result.truth ? std::to_string(*result.truth) : "null");
  thumbnails_ += base64({reinterpret_cast<const char*>(result.thumbnail.data()), result.thumbnail.size()});
  thumbnails_ += '\n';
  if (++waiting_ == kBlock) write_block();
}

void HtmlSink::write_block() {
  file_.output().write(script(R"(type="application/json" class="records")",
                              "{\"records\":[" + records_ + "],\"truths\":[" + truths_ + "]}") +
                       script(R"(type="text/plain" class="thumbnails")", "\n" + thumbnails_));
  waiting_ = 0;
  records_.clear();
  truths_.clear();
  thumbnails_.clear();
}

void HtmlSink::finish(Ending ending) {
  begin();
  if (waiting_ > 0) write_block();
  const bool complete = ending == Ending::complete;
  file_.output().write(script(R"(type="application/json" id="end")",
                              complete ? R"({"complete":true})" : R"({"complete":false})") +
                       "</body>\n</html>\n");
  file_.finish(complete);
}

}  // namespace mnv2::app

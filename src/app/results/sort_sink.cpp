#include "app/results/sort_sink.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "app/base/log.h"
#include "app/base/usage_error.h"
#include "app/results/class_folders.h"
#include "mnv2/error.h"

namespace mnv2::app {

SortSink::SortSink(const std::string& folder, SortAs how, std::span<const std::string> labels,
                   int num_classes)
    : folder_(folder), how_(how), class_folders_(class_folders(labels, num_classes)) {
  std::error_code error;
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_directory(folder, error))
    throw UsageError("--sort-into: " + folder + " is a file, expected a folder");
  std::filesystem::create_directories(folder, error);
  if (error)
    throw Error(ErrorCode::file_unreadable, "--sort-into: cannot make " + folder + ": " + error.message());
}

void SortSink::take(const Result& result) {
  if (!error_.empty()) return;
  const Record& record = result.record;
  if (record.error) {
    ++failed_;
  } else if (record.top.empty()) {
    ++unlikely_;
  } else {
    place(result);
  }
}

void SortSink::place(const Result& result) {
  const std::string& path = result.record.path;
  const std::string folder =
      folder_ + "/" + class_folders_[static_cast<std::size_t>(result.record.top.front().index)];
  try {
    if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
      throw std::system_error(errno, std::generic_category(), "cannot make " + folder);
    const Placed placed =
        result.content ? place_bytes(*result.content, path, folder) : place_file(path, folder, how_);
    ++(placed == Placed::now ? placed_ : there_);
  } catch (const std::system_error& e) {
    ++lost_;
    const bool is_full = e.code() == std::errc::no_space_on_device || e.code().value() == EDQUOT;
    const std::string message = path + ": --sort-into: " + e.what();
    if (is_full)
      error_ = message + "; the run ends here";
    else
      log_failed_input(message);
  }
}

void SortSink::finish(Ending) {
  const auto count = [](std::size_t number, const std::string& what) {
    return number == 0 ? "" : ", " + std::to_string(number) + " " + what;
  };
  const std::string left_out = count(failed_, "not classified") + count(unlikely_, "below --min-prob") +
                               count(lost_, "that could not be put there");
  const std::string message = "--sort-into: " + folder_ + ": " + std::to_string(placed_) + " sorted" +
                              count(there_, "there already") + left_out;
  left_out.empty() ? log_info(message) : log_warning(message);
}

}  // namespace mnv2::app

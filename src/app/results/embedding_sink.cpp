#include "app/results/embedding_sink.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <limits>
#include <string_view>
#include <utility>
#include <vector>

#include "app/base/usage_error.h"
#include "app/results/csv.h"

namespace mnv2::app {

std::string npy_header(std::size_t rows, std::size_t columns) {
  constexpr std::size_t kHeaderBytes = 128;  // a multiple of 64, with room for any shape
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(kHeaderBytes - header.size() - 2);  // the rest's size, 16 bits, little-endian
  header += '\0';
  header += "{'descr': '";
  header += std::endian::native == std::endian::little ? '<' : '>';
  header += "f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
            std::to_string(columns) + "), }";
  header.resize(kHeaderBytes - 1, ' ');
  return header += '\n';
}

std::string embedding_index_path(const std::string& npy_path) {
  constexpr std::string_view kExtension = ".npy";
  const bool has_extension = npy_path.ends_with(kExtension);
  return npy_path.substr(0, npy_path.size() - (has_extension ? kExtension.size() : 0)) + ".index.csv";
}

EmbeddingSink::EmbeddingSink(const std::string& path, std::size_t embedding_size)
    : embedding_size_(embedding_size),
      array_("--embeddings", path),
      index_("--embeddings", embedding_index_path(path)) {
  if (!array_.has_part())
    throw UsageError("--embeddings: " + path +
                     " is no regular file; the number of rows is written at its beginning, at the end");
}

/// Not before the first result, so that a run that is refused leaves nothing.
void EmbeddingSink::begin() {
  if (std::exchange(begun_, true)) return;
  array_.output().write(npy_header(0, embedding_size_));
  index_.output().write("row,path,status\r\n");
}

void EmbeddingSink::take(const Result& result) {
  begin();
  static_assert(sizeof(float) == 4 && std::numeric_limits<float>::is_iec559);
  std::vector<float> missing;
  if (result.record.error) missing.assign(embedding_size_, std::numeric_limits<float>::quiet_NaN());
  const std::vector<float>& row = result.record.error ? missing : result.embedding;
  array_.output().write({reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)});
  index_.output().write(std::to_string(rows_) + "," + csv_field(result.record.path) +
                        (result.record.error ? ",error\r\n" : ",ok\r\n"));
  if (state() == State::open) ++rows_;
}

void EmbeddingSink::finish(Ending ending) {
  begin();
  const std::string header = npy_header(rows_, embedding_size_);
  const ssize_t written = pwrite(array_.descriptor(), header.data(), header.size(), 0);
  if (written != static_cast<ssize_t>(header.size())) array_.output().fail(written < 0 ? errno : EIO);
  const bool complete = ending == Ending::complete && state() == State::open;
  index_.finish(complete);
  // Last: where the array is in place, so is its index.
  array_.finish(complete && index_.output().state() == Output::State::open);
}

Sink::State EmbeddingSink::state() const {
  const State of_array = array_.output().state();
  return of_array == State::open ? index_.output().state() : of_array;
}

std::string EmbeddingSink::error() const {
  return (array_.output().state() == State::open ? index_ : array_).output().error();
}

}  // namespace mnv2::app

// bench_worker: the engine as one contestant of scripts/compare_peers.py, which describes the protocol. It
// computes only when a line on stdin asks for it.
//   bench_worker --list-isas
//   bench_worker MODEL ISA THREADS
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mnv2/isa.h"
#include "mnv2/model.h"
#include "mnv2/network.h"
#include "mnv2/version.h"

namespace {

constexpr int kMaxRuns = 1'000'000;  // a request beyond it is a mistake

int parse_int(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw std::invalid_argument("'" + std::string(text) + "': expected an integer");
  return value;
}

class Worker {
 public:
  Worker(const std::string& path, mnv2::Isa isa, int threads)
      : network_(mnv2::Model::load(path), {.isa = isa}),
        workspace_(network_, threads),
        logits_(network_.num_outputs()) {}

  /// Reads `path` into the network's input: [3, H, W] raw float32.
  void read_input(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path + ": cannot be read");
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const mnv2::PlanarView view = workspace_.input();
    const std::size_t row_bytes = view.width * sizeof(float);
    if (bytes.size() != 3 * row_bytes * view.height)
      throw std::runtime_error(path + ": " + std::to_string(bytes.size()) + " bytes, expected " +
                               std::to_string(3 * row_bytes * view.height));
    const char* row = bytes.data();
    for (int plane = 0; plane < 3; ++plane)
      for (int y = 0; y < view.height; ++y, row += row_bytes)
        std::copy_n(row, row_bytes,
                    reinterpret_cast<char*>(view.data + plane * view.plane_stride + y * view.row_stride));
  }

  /// @returns the milliseconds of each of `count` runs.
  std::vector<double> run(int count) {
    if (count < 1 || count > kMaxRuns) throw std::invalid_argument("run: expected 1 to 1000000 runs");
    std::vector<double> times_ms(count);
    for (double& ms : times_ms) {
      const auto start = std::chrono::steady_clock::now();
      network_.forward(workspace_, logits_);
      ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    }
    return times_ms;
  }

  const std::vector<float>& logits() {
    network_.forward(workspace_, logits_);
    return logits_;
  }

 private:
  mnv2::Network network_;
  mnv2::Workspace workspace_;
  std::vector<float> logits_;  // [classes]
};

template <typename Values>
void reply(const char* word, const Values& values) {
  std::fputs(word, stdout);
  for (const auto value : values) std::printf(" %.9g", static_cast<double>(value));
  std::puts("");
}

void answer(Worker& worker, const std::string& line) {
  const std::size_t space = line.find(' ');
  const std::string command = line.substr(0, space);
  const std::string argument = space == std::string::npos ? "" : line.substr(space + 1);
  if (command == "input") {
    worker.read_input(argument);
    std::puts("ok");
  } else if (command == "run") {
    reply("ms", worker.run(parse_int(argument)));
  } else if (line == "logits") {
    reply("logits", worker.logits());
  } else {
    throw std::invalid_argument("'" + line + "': unknown request");
  }
}

void serve(int argc, char** argv) {
  if (argc != 4) throw std::invalid_argument("expected MODEL ISA THREADS, or --list-isas");
  const mnv2::Isa isa = mnv2::parse_isa(argv[2]);
  Worker worker(argv[1], isa, parse_int(argv[3]));
  std::printf("ready {\"version\": \"%s\", \"detail\": \"%s\"}\n", MNV2_VERSION_STRING,
              std::string(mnv2::isa_name(isa)).c_str());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line); std::fflush(stdout)) {
    try {
      answer(worker, line);
    } catch (const std::exception& error) {
      std::printf("error %s\n", error.what());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 2 && std::string_view(argv[1]) == "--list-isas") {
      const auto print = [](mnv2::Isa isa) { std::puts(std::string(mnv2::isa_name(isa)).c_str()); };
      for (const mnv2::Isa isa : mnv2::supported_isas())
        if (isa != mnv2::best_isa()) print(isa);
      print(mnv2::best_isa());
      return 0;
    }
    serve(argc, argv);
    return 0;
  } catch (const std::exception& error) {
    std::printf("error %s\n", error.what());
    return 1;
  }
}

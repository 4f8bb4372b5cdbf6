// bench_network MODEL [ROUNDS]: forward() on every instruction set with one and two threads, in turn in one run, each
// beside an FMA-peak loop, so that percentages hold on a machine whose clock moves.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "mnv2/benchmark.h"
#include "mnv2/model.h"
#include "mnv2/network.h"

namespace {

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Contestant {
  std::string name;
  std::unique_ptr<mnv2::Network> network;
  std::unique_ptr<mnv2::Workspace> workspace;
  std::vector<double> ms;
  std::vector<double> percent;  // of the peak of its threads
};

double percentile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_network MODEL [ROUNDS]\n");
    return 2;
  }
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 30;
  const mnv2::Model model = mnv2::Model::load(argv[1]);
  std::vector<Contestant> contestants;
  for (const mnv2::Isa isa : mnv2::supported_isas()) {
    for (const int threads : {1, 2}) {
      Contestant c{std::string(mnv2::isa_name(isa)) + " x" + std::to_string(threads),
                   std::make_unique<mnv2::Network>(model, mnv2::NetworkOptions{.isa = isa}),
                   nullptr,
                   {},
                   {}};
      c.workspace = std::make_unique<mnv2::Workspace>(*c.network, threads);
      contestants.push_back(std::move(c));
    }
  }
  std::vector<float> logits(model.architecture().num_outputs());
  constexpr int kRuns = 10;
  for (int round = 0; round < rounds; ++round) {
    for (Contestant& c : contestants) {
      c.network->forward(*c.workspace, logits);
      const mnv2::Peak peak = mnv2::measure_peak(c.network->isa(), c.network->precision(), 2.0);
      for (int i = 0; i < kRuns; ++i) {
        const double start = now_ms();
        c.network->forward(*c.workspace, logits);
        c.ms.push_back(now_ms() - start);
        const double flops = 2e3 * static_cast<double>(c.network->multiply_adds()) / c.ms.back();
        c.percent.push_back(100 * flops / (peak.operations / peak.seconds * c.workspace->threads()));
      }
    }
  }
  std::printf("%-14s %8s %8s %8s %10s\n", "", "min ms", "p50 ms", "p90 ms", "% of peak");
  for (const Contestant& c : contestants)
    std::printf("%-14s %8.3f %8.3f %8.3f %10.1f\n", c.name.c_str(), percentile(c.ms, 0),
                percentile(c.ms, 0.5), percentile(c.ms, 0.9), percentile(c.percent, 0.5));
}

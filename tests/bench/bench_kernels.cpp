// bench_kernels [ISA]: every layer shape of MobileNetV2 1.0/224 on every instruction set, data in the caches, as a
// percentage of an FMA-peak loop that runs right beside each measurement.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "core/rounding.h"
#include "kernels/contracts.h"
#include "kernels/panels.h"
#include "mnv2/benchmark.h"

namespace {

using namespace mnv2;
using namespace mnv2::kernels;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The median over several rounds of (FLOP/s of `work`) / (FLOP/s of the peak loop next to it), and GFLOP/s.
void report(const KernelTable& table, const std::string& name, double flops,
            const std::function<void()>& work, Precision precision = Precision::float32) {
  std::vector<double> percent, gflops;
  for (int round = 0; round < 15; ++round) {
    const Peak peak = measure_peak(table.isa, precision, 0.3);
    const int repeats = std::max(1, static_cast<int>(3e7 / flops));
    work();
    const double start = now();
    for (int i = 0; i < repeats; ++i) work();
    const double rate = flops * repeats / (now() - start);
    percent.push_back(100 * rate / (peak.operations / peak.seconds));
    gflops.push_back(rate / 1e9);
  }
  std::sort(percent.begin(), percent.end());
  std::sort(gflops.begin(), gflops.end());
  std::printf("%-8s %-34s %8.1f GFLOP/s %6.1f %%\n", std::string(isa_name(table.isa)).c_str(), name.c_str(),
              gflops[gflops.size() / 2], percent[percent.size() / 2]);
}

void bench_pointwise(const KernelTable& table, Precision precision, int in_c, int out_c, int size) {
  const int lanes = table.lanes();
  // As in a fused block: at most four rows of a large map at a time.
  const int pixels = size > 24 ? size * 4 : size * size;
  const std::ptrdiff_t block = std::ptrdiff_t{pixels} * table.block_bytes;
  const auto panels = cut_panels(table.formats, lanes,
                                 {.precision = precision,
                                  .out_c = out_c,
                                  .in_c = in_c,
                                  .cancelling = precision == Precision::float32,
                                  .half_vectors = precision == Precision::float32,
                                  .cpu = cpu_features()});
  std::size_t weight_bytes = 0, prepared_bytes = 0;
  for (const PanelCut& panel : panels) {
    weight_bytes += panel.format->weights_bytes(in_c, panel.halves);
    prepared_bytes = std::max(prepared_bytes, panel.format->prepared_bytes(in_c, pixels));
  }
  Buffer input(divide_up(in_c, lanes) * block), output(divide_up(out_c, lanes) * block),
      prepared(prepared_bytes), weights(weight_bytes),
      bias(std::size_t(kMaxPanelVectors) * table.block_bytes);
  const Epilogue epilogue{.clamp_min = 0, .clamp_max = 6};
  const auto run = [&] {
    const std::byte* next = weights.data();
    bool is_prepared = false;  // the first panel that asks for it pays for it
    for (const PanelCut& panel : panels) {
      const PanelFormat& format = *panel.format;
      if (format.prepares && !std::exchange(is_prepared, true))
        format.prepare({.input = input.data(),
                        .input_block_stride = block,
                        .prepared = prepared.data(),
                        .run_pixels = pixels,
                        .in_c = in_c,
                        .pixels = pixels});
      format.multiply({.input = input.data(),
                       .input_block_stride = block,
                       .weights = next,
                       .bias = bias.as<float>(),
                       .output = {output.data() + panel.first_vector * block, block, nullptr},
                       .epilogue = &epilogue,
                       .in_c = in_c,
                       .pixels = pixels,
                       .vectors = panel.vectors(),
                       .prepared = {prepared.data(), pixels}});
      next += format.weights_bytes(in_c, panel.halves);
    }
  };
  report(table,
         std::string(precision_name(precision)) + " " + std::to_string(in_c) + " -> " +
             std::to_string(out_c) + " at " + std::to_string(size),
         2.0 * in_c * out_c * pixels, run, precision);
}

void bench_depthwise(const KernelTable& table, int size, int stride) {
  const int lanes = table.lanes(), out = (size - 1) / stride + 1, rows = std::min(size, 8);
  const std::ptrdiff_t row = std::ptrdiff_t{size + 2} * table.block_bytes;
  Buffer input((rows + 2) * row), weights(std::size_t{10} * table.block_bytes),
      output(std::size_t(rows) * out * table.block_bytes);
  const int out_rows = rows / stride;
  report(table, "depthwise at " + std::to_string(size) + " stride " + std::to_string(stride),
         2.0 * 9 * lanes * out * out_rows, [&] {
           DepthwiseArgs args{.weights = weights.as<float>(),
                              .output = output.data(),
                              .output_row_stride = out * table.block_bytes,
                              .out_w = out,
                              .stride = stride,
                              .clamp_min = 0,
                              .clamp_max = 6};
           for (int y = 0; y < out_rows; y += args.out_rows) {
             args.out_rows = std::min(kMaxDepthwiseRows, out_rows - y);
             for (int i = 0; i < (args.out_rows - 1) * stride + 3; ++i)
               args.rows[i] = input.data() + (y * stride + i) * row;
             table.depthwise(args);
           }
         });
}

void bench_stem(const KernelTable& table) {
  const int lanes = table.lanes(), row = 226, plane = row * 226;
  Buffer input(3 * plane * sizeof(float)), weights(27 * 32 * sizeof(float)), bias(32 * sizeof(float)),
      output(112 * 32 * sizeof(float));
  std::vector<std::int32_t> taps;
  for (int i = 0; i < 27; ++i) taps.push_back(i / 9 * plane + i / 3 % 3 * row + i % 3);
  report(table, "stem 3 -> 32 at 224", 2.0 * 27 * 32 * 112, [&] {
    for (int v = 0; v * lanes < 32; v += 2)
      table.stem({.input = input.as<float>(),
                  .tap_offsets = taps.data(),
                  .weights = weights.as<float>() + 27 * v * lanes,
                  .bias = bias.as<float>() + v * lanes,
                  .output = output.data() + v * 112 * table.block_bytes,
                  .output_block_stride = 112 * table.block_bytes,
                  .taps = 27,
                  .out_w = 112,
                  .stride = 2,
                  .vectors = 2,
                  .clamp_min = 0,
                  .clamp_max = 6});
  });
}

}  // namespace

int main(int argc, char** argv) {
  for (const Isa isa : supported_isas()) {
    if (argc > 1 && isa_name(isa) != argv[1]) continue;
    const KernelTable& table = kernel_table(isa);
    bench_stem(table);
    struct Shape {
      int in_c, out_c, size;
    };
    for (const Shape s : {Shape{32, 16, 112}, {16, 96, 112}, {96, 24, 56},  {24, 144, 56},  {144, 24, 56},
                          {144, 32, 28},      {32, 192, 28}, {192, 32, 28}, {192, 64, 14},  {64, 384, 14},
                          {384, 64, 14},      {384, 96, 14}, {96, 576, 14}, {576, 96, 14},  {576, 160, 7},
                          {160, 960, 7},      {960, 160, 7}, {960, 320, 7}, {320, 1280, 7}, {1280, 1000, 1}})
      for (const Precision precision : kPrecisions)
        bench_pointwise(table, precision, s.in_c, s.out_c, s.size);
    for (const int size : {112, 56, 28, 14, 7}) bench_depthwise(table, size, 1);
    for (const int size : {112, 56, 28, 14}) bench_depthwise(table, size, 2);
  }
}

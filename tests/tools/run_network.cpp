// run_network: raw tensors in, raw logits out, so that other languages can check the engine.
//   run_network --list-isas
//   run_network MODEL IN.f32 OUT.f32 [--isa NAME] [--threads N[,N...]] [--size HxW]
// IN is [N, 3, H, W] and OUT [N, classes] for each number of threads in turn, little-endian float32; embeddings [N,
// features] of a model without classifier. --size: the model's crop when absent.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "mnv2/isa.h"
#include "mnv2/model.h"
#include "mnv2/network.h"

namespace {

struct Arguments {
  std::vector<std::string> files;
  mnv2::NetworkOptions network;
  std::vector<int> threads{1};
};

std::vector<int> parse_threads(const std::string& text) {
  std::vector<int> threads;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) threads.push_back(std::stoi(part));
  return threads;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag.rfind("--", 0) != 0) {
      arguments.files.push_back(flag);
      continue;
    }
    if (++i == argc) throw std::invalid_argument(flag + ": needs a value");
    const std::string value = argv[i];
    if (flag == "--isa")
      arguments.network.isa = mnv2::parse_isa(value);
    else if (flag == "--threads")
      arguments.threads = parse_threads(value);
    else if (flag != "--size" ||
             std::sscanf(value.c_str(), "%dx%d", &arguments.network.input_h, &arguments.network.input_w) != 2)
      throw std::invalid_argument(flag + " " + value + ": not understood");
  }
  if (arguments.files.size() != 3) throw std::invalid_argument("expected MODEL IN.f32 OUT.f32");
  return arguments;
}

std::vector<float> read_floats(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path + ": cannot be read");
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::copy_n(bytes.data(), floats.size() * sizeof(float), reinterpret_cast<char*>(floats.data()));
  return floats;
}

/// Runs every image of `images` [N, 3, H, W] and writes what the network gives.
void run_images(const mnv2::Network& network, int threads, const std::vector<float>& images,
                std::ostream& out) {
  mnv2::Workspace workspace(network, threads);
  std::vector<float> logits(network.num_outputs());
  const mnv2::PlanarView view = workspace.input();
  const std::size_t image_size = std::size_t{3} * view.height * view.width;
  for (std::size_t at = 0; at + image_size <= images.size(); at += image_size) {
    for (int plane = 0; plane < 3; ++plane)
      for (int y = 0; y < view.height; ++y)
        std::copy_n(images.data() + at + (std::size_t(plane) * view.height + y) * view.width, view.width,
                    view.data + plane * view.plane_stride + y * view.row_stride);
    network.forward(workspace, logits);
    const std::span<const float> outputs = logits.empty() ? workspace.embedding() : logits;
    out.write(reinterpret_cast<const char*>(outputs.data()), std::streamsize(outputs.size_bytes()));
  }
}

void run(const Arguments& arguments) {
  const mnv2::Network network(mnv2::Model::load(arguments.files[0]), arguments.network);
  const std::vector<float> images = read_floats(arguments.files[1]);
  std::ofstream out(arguments.files[2], std::ios::binary);
  for (const int threads : arguments.threads) run_images(network, threads, images, out);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 2 && std::string(argv[1]) == "--list-isas") {
      for (const mnv2::Isa isa : mnv2::supported_isas())
        std::printf("%s\n", std::string(mnv2::isa_name(isa)).c_str());
      return 0;
    }
    run(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "run_network: %s\n", error.what());
    return 1;
  }
}

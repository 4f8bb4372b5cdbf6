#include "mnv2/session.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "mnv2/error.h"

namespace mnv2 {
namespace {

NetworkOptions network_options(const Preprocessing& preprocessing, const LoadOptions& options) {
  return {.isa = options.isa,
          .precision = options.precision,
          .input_h = preprocessing.crop,
          .input_w = preprocessing.crop,
          .pack_threads = options.pack_threads};
}

}  // namespace

struct LoadedModel::Data {
  // Before the network, whose packing takes longer: it is the cheaper thing to be wrong.
  Preprocessor preprocessor;
  Network network;

  Data(const Model& model, const Preprocessing& preprocessing, const LoadOptions& options)
      : preprocessor(preprocessing, options.isa.value_or(best_isa())),
        network(model, network_options(preprocessing, options)) {}
};

LoadedModel::LoadedModel(const Model& model, const LoadOptions& options)
    : data_(std::make_shared<const Data>(model, options.preprocessing.value_or(model.preprocessing()),
                                         options)) {}

const Network& LoadedModel::network() const { return data_->network; }
const Preprocessor& LoadedModel::preprocessor() const { return data_->preprocessor; }

struct Session::Impl {
  LoadedModel model;  // first: it outlives the workspace
  Workspace workspace;
  Preprocessor::Scratch scratch = {};
  std::vector<float> outputs;  // [num_classes] the network's [num_outputs], then what they say of each class

  Impl(const LoadedModel& shared, int threads)
      : model(shared),
        workspace(model.network(), threads),
        outputs(static_cast<std::size_t>(model.network().num_classes())) {}
};

Session::Session(const LoadedModel& model, int threads) : impl_(std::make_unique<Impl>(model, threads)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

const LoadedModel& Session::model() const { return impl_->model; }

std::span<const float> Session::classify(const ImageView& image) {
  set_image(image);
  return run();
}

void Session::set_image(const ImageView& image) {
  impl_->model.preprocessor()(image, impl_->scratch, impl_->workspace.input());
}

std::span<const float> Session::run() {
  std::vector<float>& outputs = impl_->outputs;
  const Network& network = impl_->model.network();
  const std::span<float> logits(outputs.data(), static_cast<std::size_t>(network.num_outputs()));
  network.forward(impl_->workspace, logits);
  // Weights are finite, but sums of huge ones need not be; a NaN would be no probability.
  const std::span<const float> last = logits.empty() ? impl_->workspace.embedding() : logits;
  if (!std::all_of(last.begin(), last.end(), [](float output) { return std::isfinite(output); }))
    throw Error(ErrorCode::invalid_model, "the network's outputs for this image are not finite numbers");
  activate(network.model().architecture(), logits, outputs);
  return outputs;
}

std::span<const float> Session::embedding() const { return impl_->workspace.embedding(); }

}  // namespace mnv2

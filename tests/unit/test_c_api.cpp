// The C interface against the C++ API: results, every error, lifetimes, and many threads on one model.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mnv2/mnv2.h"
#include "mnv2/model.h"
#include "mnv2/network.h"
#include "mnv2/preprocess.h"
#include "support/catch.h"
#include "support/model_builder.h"

namespace {

using mnv2::test::TempDir;

constexpr int kClasses = 7;
constexpr mnv2::Preprocessing kPreprocessing{.resize = 36, .crop = 32};

using ModelHandle = std::unique_ptr<mnv2_model, decltype(&mnv2_model_free)>;
using SessionHandle = std::unique_ptr<mnv2_session, decltype(&mnv2_session_free)>;

/// A file with a model for each test.
struct Fixture {
  TempDir dir;
  std::string path = (dir / "model.safetensors").string();

  Fixture() {
    write(mnv2::test::make_model_file(mnv2::test::tiny_architecture(kClasses), kPreprocessing, labels()));
  }

  static std::vector<std::string> labels() { return mnv2::test::numbered_labels(kClasses); }
  void write(const mnv2::test::ModelFile& file) const { mnv2::test::write_file(path, file.serialize()); }

  ModelHandle load(const mnv2_model_options* options = nullptr) const {
    mnv2_model* model = nullptr;
    mnv2_error error{};
    INFO(error.message);
    REQUIRE(mnv2_model_load(path.c_str(), options, &model, &error) == MNV2_OK);
    REQUIRE(model != nullptr);
    return {model, mnv2_model_free};
  }
};

SessionHandle make_session(const ModelHandle& model, int threads = 1) {
  mnv2_session* session = nullptr;
  REQUIRE(mnv2_session_create(model.get(), threads, &session, nullptr) == MNV2_OK);
  return {session, mnv2_session_free};
}

/// Noise, in rows that are longer than the pixels in them.
struct Pixels {
  int width, height;
  std::ptrdiff_t row_bytes;
  std::vector<std::uint8_t> bytes;

  Pixels(int w, int h, unsigned seed, int padding = 0)
      : width(w), height(h), row_bytes(3 * w + padding), bytes(row_bytes * h) {
    std::mt19937 random(seed);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 13);
  }
  mnv2_image image(mnv2_channel_order order = MNV2_RGB) const {
    return {bytes.data(), width, height, row_bytes, order};
  }
};

struct Result {
  std::vector<int> indexes;
  std::vector<float> probabilities, embedding;
  bool operator==(const Result&) const = default;
};

/// What the C++ API gives.
Result expected_result(const std::string& path, const Pixels& pixels, mnv2::ChannelOrder order, int k,
                       mnv2::Preprocessing preprocessing = kPreprocessing) {
  const mnv2::Network network(mnv2::Model::load(path),
                              {.input_h = preprocessing.crop, .input_w = preprocessing.crop});
  mnv2::Workspace workspace(network);
  mnv2::Preprocessor::Scratch scratch;
  const mnv2::Preprocessor preprocess(preprocessing);
  preprocess({pixels.bytes.data(), pixels.width, pixels.height, pixels.row_bytes, order}, scratch,
             workspace.input());
  const mnv2::Architecture& architecture = network.model().architecture();
  std::vector<float> outputs(network.num_outputs()), classes(network.num_classes());
  network.forward(workspace, outputs);
  activate(architecture, outputs, classes);
  Result result;
  for (const mnv2::Prediction& p : mnv2::top_k(classes, k)) {
    result.indexes.push_back(p.index);
    result.probabilities.push_back(p.probability);
  }
  result.embedding.assign(workspace.embedding().begin(), workspace.embedding().end());
  return result;
}

/// What the C interface gives; no results when it fails. Elements behind the count are left alone.
Result classify(mnv2_session* session, const mnv2_image& image, int k, int embedding_size) {
  constexpr mnv2_prediction kUntouched{-7, -7.0f};
  std::vector<mnv2_prediction> predictions(std::size_t(k), kUntouched);
  int count = -1;
  Result result;
  if (mnv2_classify(session, &image, k, predictions.data(), &count, nullptr) != MNV2_OK) return result;
  for (int i = 0; i < k; ++i) {
    if (i >= count && predictions[i].index != kUntouched.index) return result;
    if (i >= count) continue;
    result.indexes.push_back(predictions[i].index);
    result.probabilities.push_back(predictions[i].probability);
  }
  const float* embedding = mnv2_session_embedding(session);
  if (embedding != nullptr) result.embedding.assign(embedding, embedding + embedding_size);
  return result;
}

/// Checks what a call that must fail says, and that a call without mnv2_error returns the same.
template <typename Call>
void check_error(mnv2_status status, const std::string& message, const Call& call) {
  mnv2_error error{MNV2_OK, "not written"};
  CHECK(call(&error) == status);
  CHECK(error.status == status);
  CHECK(error.message == message);
  CHECK(call(nullptr) == status);
}

constexpr std::size_t kMostMessage = sizeof(mnv2_error::message) - 1;

/// What is said of a model that cannot be loaded.
std::string load_message(const std::string& path, mnv2_status status) {
  mnv2_error error;
  mnv2_model* model = nullptr;
  CHECK(mnv2_model_load(path.c_str(), nullptr, &model, &error) == status);
  return error.message;
}

}  // namespace

TEST_CASE("c api: the version is that of the headers") {
  CHECK(std::string(mnv2_version()) == MNV2_VERSION_STRING);
  CHECK(std::string(MNV2_VERSION_STRING) == std::to_string(MNV2_VERSION_MAJOR) + "." +
                                                std::to_string(MNV2_VERSION_MINOR) + "." +
                                                std::to_string(MNV2_VERSION_PATCH));
}

TEST_CASE("c api: a model tells of itself") {
  const Fixture fixture;
  const ModelHandle model = fixture.load();
  CHECK(mnv2_model_num_classes(model.get()) == kClasses);
  CHECK(mnv2_model_input_size(model.get()) == kPreprocessing.crop);
  CHECK(mnv2_model_embedding_size(model.get()) == mnv2::test::tiny_architecture(kClasses).embedding_size());
  CHECK(mnv2_model_isa(model.get()) == mnv2::isa_name(mnv2::best_isa()));
  for (int i = 0; i < kClasses; ++i) CHECK(mnv2_model_label(model.get(), i) == Fixture::labels()[i]);
  for (const int outside : {-1, kClasses, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()})
    CHECK(mnv2_model_label(model.get(), outside) == nullptr);
  fixture.write(mnv2::test::make_model_file(mnv2::test::tiny_architecture(kClasses), kPreprocessing));
  CHECK(mnv2_model_label(fixture.load().get(), 0) == nullptr);
}

TEST_CASE("c api: predictions and embedding are those of the C++ API") {
  const Fixture fixture;
  const ModelHandle model = fixture.load();
  const int features = mnv2_model_embedding_size(model.get());
  const Pixels padded(61, 47, 1, 5), tight(40, 90, 2);
  for (const int threads : {1, 3}) {
    const SessionHandle session = make_session(model, threads);
    CHECK(mnv2_session_embedding(session.get()) == nullptr);
    for (const int k : {0, 1, 5, kClasses, kClasses + 4}) {
      INFO("threads " << threads << " k " << k);
      CHECK(classify(session.get(), padded.image(), k, features) ==
            expected_result(fixture.path, padded, mnv2::ChannelOrder::rgb, k));
      CHECK(classify(session.get(), padded.image(MNV2_BGR), k, features) ==
            expected_result(fixture.path, padded, mnv2::ChannelOrder::bgr, k));
      mnv2_image rows_follow = tight.image();
      rows_follow.row_bytes = 0;
      CHECK(classify(session.get(), rows_follow, k, features) ==
            expected_result(fixture.path, tight, mnv2::ChannelOrder::rgb, k));
    }
    const mnv2_image image = tight.image();
    CHECK(mnv2_classify(session.get(), &image, 0, nullptr, nullptr, nullptr) == MNV2_OK);
  }
}

TEST_CASE("c api: precisions") {
  const Fixture fixture;
  const std::string quickest(precision_name(mnv2::fast_precision(mnv2::best_isa())));
  for (const std::string asked : {"float32", "bfloat16", "int8", "fast"}) {
    const mnv2_model_options options{.isa = nullptr,
                                     .resize = 0,
                                     .crop = 0,
                                     .resize_form = nullptr,
                                     .interpolation = nullptr,
                                     .precision = asked.c_str()};
    CHECK(mnv2_model_precision(fixture.load(&options).get()) == (asked == "fast" ? quickest : asked));
  }
  CHECK(std::string(mnv2_model_precision(fixture.load(nullptr).get())) == "float32");
  CHECK(mnv2_model_precision(nullptr) == nullptr);
}

TEST_CASE("c api: options") {
  const Fixture fixture;
  const Pixels pixels(70, 80, 3);
  const mnv2_model_options larger{.isa = nullptr,
                                  .resize = 50,
                                  .crop = 45,
                                  .resize_form = nullptr,
                                  .interpolation = nullptr,
                                  .precision = nullptr};
  const ModelHandle model = fixture.load(&larger);
  CHECK(mnv2_model_input_size(model.get()) == 45);
  CHECK(classify(make_session(model).get(), pixels.image(), 3, mnv2_model_embedding_size(model.get())) ==
        expected_result(fixture.path, pixels, mnv2::ChannelOrder::rgb, 3, {.resize = 50, .crop = 45}));
  for (const mnv2::Isa isa : mnv2::supported_isas()) {
    mnv2_model_options options{};
    options.isa = mnv2::isa_name(isa).data();
    CHECK(mnv2_model_isa(fixture.load(&options).get()) == mnv2::isa_name(isa));
  }
}

TEST_CASE("c api: every form and interpolation by its name") {
  const Fixture fixture;
  const Pixels pixels(70, 53, 3);
  for (const mnv2::ResizeForm form : mnv2::kResizeForms) {
    for (const mnv2::Interpolation interpolation : mnv2::kInterpolations) {
      if (!gives_bytes(form) && interpolation != mnv2::Interpolation::bilinear) continue;
      mnv2_model_options options{};
      options.resize_form = resize_form_name(form).data();
      options.interpolation = interpolation_name(interpolation).data();
      const ModelHandle model = fixture.load(&options);
      const mnv2::Preprocessing expected{
          .resize = has_resize(form) ? kPreprocessing.resize : kPreprocessing.crop,
          .crop = kPreprocessing.crop,
          .interpolation = interpolation,
          .form = form};
      INFO(options.resize_form << ", " << options.interpolation);
      CHECK(classify(make_session(model).get(), pixels.image(), 3, mnv2_model_embedding_size(model.get())) ==
            expected_result(fixture.path, pixels, mnv2::ChannelOrder::rgb, 3, expected));
    }
  }
}

TEST_CASE("c api: every output activation, also after hidden layers") {
  const Fixture fixture;
  const Pixels pixels(70, 53, 3);
  for (const int outputs : {1, 4}) {
    for (const auto activation :
         {mnv2::OutputActivation::softmax, mnv2::OutputActivation::sigmoid, mnv2::OutputActivation::none}) {
      if (outputs == 1 && activation == mnv2::OutputActivation::softmax) continue;
      mnv2::Architecture architecture = mnv2::test::tiny_architecture(outputs);
      mnv2::test::set_dense(architecture, {{9, {0, 6}}, {outputs}});
      architecture.output_activation = activation;
      fixture.write(mnv2::test::make_model_file(architecture, kPreprocessing));
      const ModelHandle model = fixture.load();
      INFO(outputs << " outputs, " << output_activation_name(activation));
      CHECK(mnv2_model_output_activation(model.get()) == output_activation_name(activation));
      const int classes = architecture.num_classes();
      CHECK(mnv2_model_num_classes(model.get()) == classes);
      const Result result =
          classify(make_session(model).get(), pixels.image(), 5, mnv2_model_embedding_size(model.get()));
      CHECK(result.indexes.size() == std::size_t(classes));
      CHECK(result == expected_result(fixture.path, pixels, mnv2::ChannelOrder::rgb, 5));
    }
  }
  CHECK(mnv2_model_output_activation(nullptr) == nullptr);
}

TEST_CASE("c api: a model without classifier gives its embedding") {
  const Fixture fixture;
  mnv2::Architecture architecture = mnv2::test::tiny_architecture(kClasses);
  architecture.dense.clear();
  fixture.write(mnv2::test::make_model_file(architecture, kPreprocessing));
  const ModelHandle model = fixture.load();
  CHECK(mnv2_model_num_classes(model.get()) == 0);
  CHECK(mnv2_model_output_activation(model.get()) == nullptr);
  const SessionHandle session = make_session(model);
  const Pixels pixels(50, 40, 1);
  CHECK(classify(session.get(), pixels.image(), 0, mnv2_model_embedding_size(model.get())) ==
        expected_result(fixture.path, pixels, mnv2::ChannelOrder::rgb, 0));
  const mnv2_image image = pixels.image();
  mnv2_prediction prediction;
  check_error(MNV2_INVALID_ARGUMENT, "top_k: 1, expected 0: the model has no classifier, only an embedding",
              [&](mnv2_error* error) {
                return mnv2_classify(session.get(), &image, 1, &prediction, nullptr, error);
              });
}

TEST_CASE("c api: what cannot be loaded") {
  const Fixture fixture;
  const auto load = [](const char* path, const mnv2_model_options& options = {}) {
    return [=](mnv2_error* error) {
      auto* model = reinterpret_cast<mnv2_model*>(1);
      const mnv2_status status = mnv2_model_load(path, &options, &model, error);
      CHECK(model == nullptr);
      return status;
    };
  };
  check_error(MNV2_INVALID_ARGUMENT, "path: NULL", load(nullptr));
  check_error(MNV2_INVALID_ARGUMENT, "model: NULL", [&](mnv2_error* error) {
    return mnv2_model_load(fixture.path.c_str(), nullptr, nullptr, error);
  });
  check_error(MNV2_FILE_NOT_FOUND, "/nonexistent/m: No such file or directory", load("/nonexistent/m"));
  const std::string dir = fixture.dir.path().string();
  check_error(MNV2_FILE_UNREADABLE, dir + ": a directory, expected a regular file", load(dir.c_str()));
  const char* path = fixture.path.c_str();
  check_error(MNV2_INVALID_ARGUMENT, "preprocessing: resize is -1, expected 1 to 16384",
              load(path, {nullptr, -1, 0, nullptr, nullptr, nullptr}));
  check_error(MNV2_INVALID_ARGUMENT,
              "resize form 'Fit' is unknown, expected crop, crop-floor, fit, squash, squash-half-pixel or "
              "squash-align-corners",
              load(path, {nullptr, 0, 0, "Fit", nullptr, nullptr}));
  check_error(MNV2_INVALID_ARGUMENT,
              "interpolation '' is unknown, expected bilinear, bicubic, lanczos or nearest",
              load(path, {nullptr, 0, 0, nullptr, "", nullptr}));
  check_error(MNV2_INVALID_ARGUMENT, "precision 'half': unknown, expected one of float32, bfloat16, int8",
              load(path, {nullptr, 0, 0, nullptr, nullptr, "half"}));
  check_error(MNV2_INVALID_ARGUMENT,
              "preprocessing: resize is 99, expected the crop's 32 for the form squash",
              load(path, {nullptr, 99, 0, "squash", nullptr, nullptr}));
  check_error(MNV2_INVALID_ARGUMENT, "preprocessing: crop is -1, expected 1 to 16384",
              load(path, {nullptr, 0, -1, nullptr, nullptr, nullptr}));
  mnv2_error error;
  CHECK(load(path, {nullptr, 0, 5000, nullptr, nullptr, nullptr})(&error) ==
        MNV2_INVALID_ARGUMENT);  // of height and width, either
  CHECK(std::string(error.message).find(": 5000, expected 1 to 4096 pixels") != std::string::npos);
  CHECK(load(path, {"sse9", 0, 0, nullptr, nullptr, nullptr})(&error) == MNV2_UNSUPPORTED_ISA);
  CHECK(std::string(error.message).find("instruction set 'sse9': unknown") == 0);
  mnv2::test::write_file(fixture.path, "no model");
  CHECK(load(path)(&error) == MNV2_INVALID_MODEL);
  CHECK(std::string(error.message).find(fixture.path) == 0);
}

TEST_CASE("c api: arguments out of range") {
  const Fixture fixture;
  const ModelHandle model = fixture.load();
  auto* made = reinterpret_cast<mnv2_session*>(1);
  check_error(MNV2_INVALID_ARGUMENT, "model: NULL",
              [&](mnv2_error* error) { return mnv2_session_create(nullptr, 1, &made, error); });
  CHECK(made == nullptr);
  check_error(MNV2_INVALID_ARGUMENT, "session: NULL",
              [&](mnv2_error* error) { return mnv2_session_create(model.get(), 1, nullptr, error); });
  for (const int threads : {-1, 0, 1025})
    check_error(MNV2_INVALID_ARGUMENT, "threads: " + std::to_string(threads) + ", expected 1 to 1024",
                [&](mnv2_error* error) { return mnv2_session_create(model.get(), threads, &made, error); });

  const SessionHandle session = make_session(model);
  const Pixels pixels(20, 10, 1);
  mnv2_prediction predictions[2];
  const auto fails = [&](mnv2_status status, const std::string& message, mnv2_session* s,
                         const mnv2_image* image, int k, mnv2_prediction* out) {
    const mnv2_image good = pixels.image();
    REQUIRE(mnv2_classify(session.get(), &good, 1, predictions, nullptr, nullptr) == MNV2_OK);
    int count = 9;
    check_error(status, message,
                [&](mnv2_error* error) { return mnv2_classify(s, image, k, out, &count, error); });
    CHECK(count == 0);
    if (s != nullptr) CHECK(mnv2_session_embedding(s) == nullptr);
  };
  const mnv2_image good = pixels.image();
  fails(MNV2_INVALID_ARGUMENT, "session: NULL", nullptr, &good, 2, predictions);
  fails(MNV2_INVALID_ARGUMENT, "image: NULL", session.get(), nullptr, 2, predictions);
  fails(MNV2_INVALID_ARGUMENT, "predictions: NULL", session.get(), &good, 2, nullptr);
  fails(MNV2_INVALID_ARGUMENT, "top_k: -1, expected at least 0", session.get(), &good, -1, predictions);
  const auto bad = [&](mnv2_status status, const std::string& message, const mnv2_image& image) {
    fails(status, message, session.get(), &image, 2, predictions);
  };
  const std::uint8_t* data = pixels.bytes.data();
  bad(MNV2_INVALID_ARGUMENT, "image pixels: NULL", {nullptr, 20, 10, 60, MNV2_RGB});
  bad(MNV2_INVALID_ARGUMENT, "image: empty, 0 x 10", {data, 0, 10, 0, MNV2_RGB});
  bad(MNV2_INVALID_ARGUMENT, "image: empty, 20 x -1", {data, 20, -1, 0, MNV2_RGB});
  bad(MNV2_INVALID_ARGUMENT, "image: rows of 59 bytes, expected at least 60", {data, 20, 10, 59, MNV2_RGB});
  bad(MNV2_INVALID_ARGUMENT, "image: rows of -60 bytes, expected at least 60", {data, 20, 10, -60, MNV2_RGB});
  for (const int row_bytes : {7, -7, 14, -15})
    bad(MNV2_INVALID_ARGUMENT, "image: rows of " + std::to_string(row_bytes) + " bytes, expected at least 15",
        {data, 5, 1, row_bytes, MNV2_RGB});
  bad(MNV2_INVALID_ARGUMENT, "image order: 2, expected MNV2_RGB (0) or MNV2_BGR (1)", {data, 20, 10, 60, 2});
  bad(MNV2_IMAGE_TOO_LARGE, "image: 536870913 x 1, expected at most 536870912 pixels a side",
      {data, 536870913, 1, 0, MNV2_RGB});
  bad(MNV2_IMAGE_TOO_LARGE, "image: 1 x 2147483647, expected at most 536870912 pixels a side",
      {data, 1, std::numeric_limits<int>::max(), 0, MNV2_RGB});
}

TEST_CASE("c api: NULL is told from everything, and freed as nothing") {
  CHECK(mnv2_model_num_classes(nullptr) == 0);
  CHECK(mnv2_model_label(nullptr, 0) == nullptr);
  CHECK(mnv2_model_input_size(nullptr) == 0);
  CHECK(mnv2_model_embedding_size(nullptr) == 0);
  CHECK(mnv2_model_isa(nullptr) == nullptr);
  CHECK(mnv2_session_embedding(nullptr) == nullptr);
  mnv2_model_free(nullptr);
  mnv2_session_free(nullptr);
}

TEST_CASE("c api: outputs that are not finite are an error") {
  const Fixture fixture;
  auto file = mnv2::test::make_model_file(mnv2::test::tiny_architecture(kClasses), kPreprocessing);
  std::string& bias = file.tensor("head.bias").data;
  std::string& weights = file.tensor("classifier.weight").data;
  const float six = 6.0f, huge = 3e38f;
  for (std::size_t i = 0; i < bias.size(); i += sizeof(float)) std::memcpy(&bias[i], &six, sizeof six);
  for (std::size_t i = 0; i < weights.size(); i += sizeof(float))
    std::memcpy(&weights[i], &huge, sizeof huge);
  fixture.write(file);
  const SessionHandle session = make_session(fixture.load());
  const Pixels pixels(40, 40, 1);
  const mnv2_image image = pixels.image();
  mnv2_prediction prediction;
  check_error(MNV2_INVALID_MODEL, "the network's outputs for this image are not finite numbers",
              [&](mnv2_error* error) {
                return mnv2_classify(session.get(), &image, 1, &prediction, nullptr, error);
              });
}

TEST_CASE("c api: a call that succeeds clears the error") {
  const Fixture fixture;
  mnv2_error error{MNV2_INTERNAL, "of before"};
  mnv2_model* model = nullptr;
  REQUIRE(mnv2_model_load(fixture.path.c_str(), nullptr, &model, &error) == MNV2_OK);
  CHECK(error.status == MNV2_OK);
  CHECK(std::string(error.message).empty());
  mnv2_model_free(model);
}

TEST_CASE("c api: long messages are cut in the middle, between two characters") {
  const std::string reason = ": File name too long";
  for (const std::string character : {"x", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"})
    for (std::size_t shift = 0; shift < character.size(); ++shift) {
      std::string path = "/" + std::string(shift, 'y');
      while (path.size() < 5000) path += character;
      const std::string message = load_message(path, MNV2_FILE_UNREADABLE);
      INFO(message);
      CHECK(message.size() <= kMostMessage);
      CHECK(message.size() + character.size() > kMostMessage);
      const std::size_t cut = message.find("...");
      REQUIRE(cut != std::string::npos);
      CHECK(message.substr(0, cut) == path.substr(0, cut));
      CHECK((cut - 1 - shift) % character.size() == 0);
      std::string rest = message.substr(cut + 3);
      REQUIRE(rest.ends_with(reason));
      rest.resize(rest.size() - reason.size());
      CHECK(path.ends_with(rest));
      CHECK(rest.size() % character.size() == 0);
      CHECK(rest.size() > 200);
    }
}

TEST_CASE("c api: a message is cut only when it is too long") {
  const std::string reason = ": No such file or directory";
  for (const std::size_t length : {kMostMessage - 1, kMostMessage, kMostMessage + 1}) {
    std::string path = "/nonexistent/";
    while (path.size() + reason.size() < length) path += path.size() % 100 == 0 ? '/' : 'x';
    const std::string message = load_message(path, MNV2_FILE_NOT_FOUND);
    CHECK(message.size() == std::min(length, kMostMessage));
    CHECK((message == path + reason) == (length <= kMostMessage));
  }
}

TEST_CASE("c api: messages are UTF-8, whatever a path is") {
  const std::pair<std::string, std::string> names[] = {
      {"\xFF\xFE", "??"},
      {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"},
      {"caf\xE9", "caf?"},                // Latin-1
      {"\xE2\x82x", "??x"},               // ends early
      {"\xC0\xAF\xE0\x9F\xBF", "?????"},  // longer than need be
      {"\xF0\x8F\xBF\xBF", "????"},
      {"\xED\xA0\x80", "???"},  // a surrogate
      {"\xED\x9F\xBF\xEE\x80\x80", "\xED\x9F\xBF\xEE\x80\x80"},
      {"\xF4\x90\x80\x80\xF5", "?????"},  // above U+10FFFF
      {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
      {"\x80\xC3\xA9\xBF", "?\xC3\xA9?"}};
  for (const auto& [name, shown] : names) {
    CHECK(load_message("/nonexistent/" + name + ".safetensors", MNV2_FILE_NOT_FOUND) ==
          "/nonexistent/" + shown + ".safetensors: No such file or directory");
    CHECK(load_message("/nonexistent/" + name, MNV2_FILE_NOT_FOUND) ==
          "/nonexistent/" + shown + ": No such file or directory");
  }
  const std::string message = load_message(std::string(4999, '\x80'), MNV2_FILE_UNREADABLE);
  const std::string reason = ": File name too long";
  CHECK(message.size() == kMostMessage);
  CHECK(message.starts_with(std::string(200, '?')));
  CHECK(message.find("?...?") != std::string::npos);
  CHECK(message.ends_with("?" + reason));
}

TEST_CASE("c api: statuses have the names of the library's errors") {
  const char* const names[] = {"ok",
                               "invalid_argument",
                               "file_not_found",
                               "file_unreadable",
                               "invalid_model",
                               "unsupported_isa",
                               "image_too_large",
                               "out_of_memory",
                               "internal"};
  for (int i = 0; i < 9; ++i) CHECK(std::string(mnv2_status_name(static_cast<mnv2_status>(i))) == names[i]);
}

TEST_CASE("c api: sessions outlive the model that they were made with") {
  const Fixture fixture;
  ModelHandle model = fixture.load();
  const int features = mnv2_model_embedding_size(model.get());
  const SessionHandle session = make_session(model, 2);
  model.reset();
  const Pixels pixels(33, 44, 5);
  CHECK(classify(session.get(), pixels.image(), 3, features) ==
        expected_result(fixture.path, pixels, mnv2::ChannelOrder::rgb, 3));
}

TEST_CASE("c api: many threads share a model, each with a session of its own") {
  const Fixture fixture;
  const ModelHandle model = fixture.load();
  const int features = mnv2_model_embedding_size(model.get());
  constexpr int kThreads = 8;
  std::vector<Pixels> images;
  std::vector<Result> expected;
  for (unsigned i = 0; i < kThreads; ++i) {
    // Large and unlike: what sessions should not share would be overwritten by another size.
    images.emplace_back(300 + 150 * int(i), 1500 - 150 * int(i), i);
    expected.push_back(expected_result(fixture.path, images.back(), mnv2::ChannelOrder::rgb, 4));
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      mnv2_session* session = nullptr;
      mnv2_error error;
      if (mnv2_session_create(model.get(), 1 + i % 2, &session, &error) != MNV2_OK) ++wrong;
      for (int repeat = 0; repeat < 8; ++repeat) {
        if (classify(session, images[i].image(), 4, features) != expected[i]) ++wrong;
        if (mnv2_classify(session, nullptr, 0, nullptr, nullptr, &error) != MNV2_INVALID_ARGUMENT ||
            std::string(error.message) != "image: NULL")
          ++wrong;
        if (mnv2_model_label(model.get(), repeat % kClasses) != Fixture::labels()[repeat % kClasses]) ++wrong;
      }
      mnv2_session_free(session);
      // Loading is as free of shared state.
      mnv2_model* own = nullptr;
      if (mnv2_model_load(fixture.path.c_str(), nullptr, &own, &error) != MNV2_OK) ++wrong;
      mnv2_model_free(own);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong.load() == 0);
}

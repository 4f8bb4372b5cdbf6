// The C interface: the public C++ API behind opaque handles, with every exception made a status and a
// message.
#include "mnv2/mnv2.h"

#include <algorithm>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "mnv2/error.h"
#include "mnv2/model.h"
#include "mnv2/network.h"
#include "mnv2/preprocess.h"
#include "mnv2/session.h"

namespace {

using mnv2::Error;
using mnv2::ErrorCode;

}  // namespace

struct mnv2_model {
  mnv2::LoadedModel loaded;
};

struct mnv2_session {
  mnv2::Session session;
  bool has_embedding = false;
};

namespace {

mnv2_status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_argument: return MNV2_INVALID_ARGUMENT;
    case ErrorCode::file_not_found: return MNV2_FILE_NOT_FOUND;
    case ErrorCode::file_unreadable: return MNV2_FILE_UNREADABLE;
    case ErrorCode::invalid_model: return MNV2_INVALID_MODEL;
    case ErrorCode::unsupported_isa: return MNV2_UNSUPPORTED_ISA;
    case ErrorCode::image_too_large: return MNV2_IMAGE_TOO_LARGE;
    case ErrorCode::out_of_memory: return MNV2_OUT_OF_MEMORY;
    // Of image files, which the engine does not know.
    case ErrorCode::unsupported_format:
    case ErrorCode::damaged_image:
    case ErrorCode::internal: break;
  }
  return MNV2_INTERNAL;
}

bool continues(char byte) noexcept { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// How many bytes the character that `text` begins with has; 0 when it begins with none (RFC 3629, section 4).
std::size_t character_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  if (!std::all_of(text.begin() + 1, text.begin() + std::ptrdiff_t(length), continues)) return 0;
  // Longer than need be, a surrogate, above U+10FFFF.
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90)) return 0;
  if ((lead == 0xED && byte(1) > 0x9F) || (lead == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

/// Copies `text` to `out`, with '?' for each byte that is not UTF-8. @return the end of the copy
char* copy_as_utf8(std::string_view text, char* out) noexcept {
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    if (length == 0) *out++ = '?';
    out = std::copy_n(text.data(), length, out);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

/// Where the character of UTF-8 begins that holds byte `at`; `at` itself where there is none.
std::size_t character_start(std::string_view text, std::size_t at) noexcept {
  for (std::size_t back = 0; back <= std::min<std::size_t>(at, 3); ++back)
    if (!continues(text[at - back])) return at - back;
  return at;
}

/// Writes `error`, unless it is NULL. A message that is too long is cut in the middle: it begins with the
/// object, often a path, and ends with what is wrong.
mnv2_status report(mnv2_error* error, mnv2_status status, std::string_view message) noexcept {
  if (error == nullptr) return status;
  constexpr std::string_view kCut = "...";
  constexpr std::size_t kMost = sizeof(error->message) - 1;
  error->status = status;
  char* out = error->message;
  if (message.size() > kMost) {
    const std::string_view last = message.substr(character_start(message, message.size() - kMost / 2));
    const std::size_t first = character_start(message, kMost - kCut.size() - last.size());
    out = copy_as_utf8(message.substr(0, first), out);
    out = std::copy(kCut.begin(), kCut.end(), out);
    message = last;
  }
  *copy_as_utf8(message, out) = '\0';
  return status;
}

/// Runs `function` and reports what came of it. Nothing here allocates, so that a lack of memory is told,
/// too.
template <typename Function>
mnv2_status guarded(mnv2_error* error, const Function& function) noexcept {
  try {
    function();
    return report(error, MNV2_OK, {});
  } catch (const Error& e) {
    return report(error, status_of(e.code()), e.what());
  } catch (const std::bad_alloc&) {
    return report(error, MNV2_OUT_OF_MEMORY, "not enough memory");
  } catch (const std::system_error& e) {  // only threads are asked for
    return report(error, MNV2_OUT_OF_MEMORY, e.what());
  } catch (const std::exception& e) {
    return report(error, MNV2_INTERNAL, e.what());
  } catch (...) {
    return report(error, MNV2_INTERNAL, "unknown exception");
  }
}

[[noreturn]] void throw_invalid(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

/// `pointer` as a reference. @throws Error{invalid_argument} when it is NULL.
template <typename T>
T& checked(T* pointer, const char* name) {
  if (pointer == nullptr) throw_invalid(std::string(name) + ": NULL");
  return *pointer;
}

mnv2::LoadedModel load(const char* path, const mnv2_model_options& options) {
  const mnv2::Isa isa = options.isa == nullptr ? mnv2::best_isa() : mnv2::parse_isa(options.isa);
  mnv2::Precision precision = mnv2::Precision::float32;
  if (options.precision != nullptr)
    precision = std::string_view(options.precision) == "fast" ? mnv2::fast_precision(isa)
                                                              : mnv2::parse_precision(options.precision);
  const mnv2::Model model = mnv2::Model::load(path);
  mnv2::PreprocessingChanges changes;
  if (options.resize != 0) changes.resize = options.resize;
  if (options.crop != 0) changes.crop = options.crop;
  if (options.resize_form != nullptr) changes.form = mnv2::parse_resize_form(options.resize_form);
  if (options.interpolation != nullptr)
    changes.interpolation = mnv2::parse_interpolation(options.interpolation);
  return mnv2::LoadedModel(
      model, {.isa = isa, .precision = precision, .preprocessing = changed(model.preprocessing(), changes)});
}

mnv2::ImageView view_of(const mnv2_image& image) {
  checked(image.pixels, "image pixels");
  if (image.order != MNV2_RGB && image.order != MNV2_BGR)
    throw_invalid("image order: " + std::to_string(image.order) + ", expected MNV2_RGB (0) or MNV2_BGR (1)");
  const std::ptrdiff_t tight = std::ptrdiff_t{3} * image.width;
  return {.data = image.pixels,
          .width = image.width,
          .height = image.height,
          .row_bytes = image.row_bytes == 0 ? tight : image.row_bytes,
          .order = image.order == MNV2_RGB ? mnv2::ChannelOrder::rgb : mnv2::ChannelOrder::bgr};
}

void check_top_k(const mnv2::Network& network, int top_k, const mnv2_prediction* predictions) {
  if (top_k < 0) throw_invalid("top_k: " + std::to_string(top_k) + ", expected at least 0");
  if (top_k == 0) return;
  checked(predictions, "predictions");
  if (network.num_classes() == 0)
    throw_invalid("top_k: " + std::to_string(top_k) +
                  ", expected 0: the model has no classifier, only an embedding");
}

}  // namespace

const char* mnv2_status_name(mnv2_status status) noexcept {
  switch (status) {
    case MNV2_OK: return "ok";
    case MNV2_INVALID_ARGUMENT: return "invalid_argument";
    case MNV2_FILE_NOT_FOUND: return "file_not_found";
    case MNV2_FILE_UNREADABLE: return "file_unreadable";
    case MNV2_INVALID_MODEL: return "invalid_model";
    case MNV2_UNSUPPORTED_ISA: return "unsupported_isa";
    case MNV2_IMAGE_TOO_LARGE: return "image_too_large";
    case MNV2_OUT_OF_MEMORY: return "out_of_memory";
    case MNV2_INTERNAL: break;
  }
  return "internal";
}

mnv2_status mnv2_model_load(const char* path, const mnv2_model_options* options, mnv2_model** model,
                            mnv2_error* error) noexcept {
  if (model != nullptr) *model = nullptr;
  return guarded(error, [&] {
    mnv2_model*& result = checked(model, "model");
    result =
        new mnv2_model{load(&checked(path, "path"), options == nullptr ? mnv2_model_options{} : *options)};
  });
}

void mnv2_model_free(mnv2_model* model) noexcept { delete model; }

int mnv2_model_num_classes(const mnv2_model* model) noexcept {
  return model == nullptr ? 0 : model->loaded.network().num_classes();
}

const char* mnv2_model_output_activation(const mnv2_model* model) noexcept {
  if (model == nullptr || model->loaded.network().num_outputs() == 0) return nullptr;
  return mnv2::output_activation_name(model->loaded.model().architecture().output_activation).data();
}

const char* mnv2_model_label(const mnv2_model* model, int index) noexcept {
  if (model == nullptr || index < 0) return nullptr;
  const std::vector<std::string>& labels = model->loaded.model().labels();
  return static_cast<std::size_t>(index) < labels.size() ? labels[static_cast<std::size_t>(index)].c_str()
                                                         : nullptr;
}

int mnv2_model_input_size(const mnv2_model* model) noexcept {
  return model == nullptr ? 0 : model->loaded.network().input_w();
}

int mnv2_model_embedding_size(const mnv2_model* model) noexcept {
  return model == nullptr ? 0 : model->loaded.network().embedding_size();
}

const char* mnv2_model_isa(const mnv2_model* model) noexcept {
  return model == nullptr ? nullptr : mnv2::isa_name(model->loaded.network().isa()).data();  // of a literal
}

const char* mnv2_model_precision(const mnv2_model* model) noexcept {
  return model == nullptr ? nullptr
                          : mnv2::precision_name(model->loaded.network().precision()).data();  // of a literal
}

mnv2_status mnv2_session_create(const mnv2_model* model, int threads, mnv2_session** session,
                                mnv2_error* error) noexcept {
  if (session != nullptr) *session = nullptr;
  return guarded(error, [&] {
    mnv2_session*& result = checked(session, "session");
    result = new mnv2_session{.session = mnv2::Session(checked(model, "model").loaded, threads)};
  });
}

void mnv2_session_free(mnv2_session* session) noexcept { delete session; }

mnv2_status mnv2_classify(mnv2_session* session, const mnv2_image* image, int top_k,
                          mnv2_prediction* predictions, int* count, mnv2_error* error) noexcept {
  if (count != nullptr) *count = 0;
  if (session != nullptr) session->has_embedding = false;
  return guarded(error, [&] {
    mnv2_session& s = checked(session, "session");
    const mnv2::ImageView view = view_of(checked(image, "image"));
    check_top_k(s.session.model().network(), top_k, predictions);
    const std::vector<mnv2::Prediction> top = mnv2::top_k(s.session.classify(view), top_k);
    std::transform(top.begin(), top.end(), predictions, [](const mnv2::Prediction& p) {
      return mnv2_prediction{p.index, p.probability};
    });
    if (count != nullptr) *count = static_cast<int>(top.size());
    s.has_embedding = true;
  });
}

const float* mnv2_session_embedding(const mnv2_session* session) noexcept {
  return session == nullptr || !session->has_embedding ? nullptr : session->session.embedding().data();
}

#include "app/classifier.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <new>
#include <span>
#include <utility>

#include "app/image/decode.h"
#include "app/image/read_file.h"
#include "app/image/thumbnail.h"
#include "app/labels.h"
#include "app/stopwatch.h"
#include "mnv2/error.h"

namespace mnv2::app {

Classifier::Classifier(const Engine& engine, const Plan& plan, int threads, ImageMemory& memory)
    : engine_(engine),
      plan_(plan),
      memory_(memory),
      workspace_(engine.network, threads),
      outputs_(static_cast<std::size_t>(engine.network.num_classes())) {}

Result Classifier::classify(const Input& input, const Needs& needs) {
  const auto failed = [&](RecordError error) {
    return Result{.record = {.path = input.path, .error = std::move(error)}, .truth = input.truth};
  };
  if (input.error) return failed(*input.error);
  try {
    Result result{.record = {.path = input.path}, .truth = input.truth};
    classify_file(input.path, needs, result);
    return result;
  } catch (const Error& e) {
    return failed({e.code(), e.what()});
  } catch (const std::bad_alloc&) {
    return failed({ErrorCode::out_of_memory, "not enough memory for this image"});
  } catch (const std::exception& e) {
    return failed({ErrorCode::internal, e.what()});
  }
}

void Classifier::classify_file(const std::string& path, const Needs& needs, Result& result) {
  Timings timings;
  Stopwatch stopwatch;
  MemoryBudget::Part file_part, pixel_part;
  std::vector<std::uint8_t> bytes = image::read_file(
      path, image::kMaxFileBytes, [&](std::int64_t size) { file_part.take(memory_.files, size); });
  timings.read_ms = stopwatch.lap_ms();

  image::DecodedImage decoded = image::decode_image(
      bytes, {.limits = {.max_pixels = plan_.max_pixels},
              .apply_orientation = plan_.apply_exif,
              .before_decoding = [&](std::int64_t size) { pixel_part.take(memory_.pixels, size); }});
  bytes = {};
  file_part.give_back();
  timings.decode_ms = stopwatch.lap_ms();

  engine_.preprocessor(decoded.view, scratch_, workspace_.input());
  timings.preprocess_ms = stopwatch.lap_ms();
  if (needs.thumbnail) result.thumbnail = image::make_thumbnail(decoded.view);
  decoded.pixels.reset();
  pixel_part.give_back();

  stopwatch.lap_ms();  // thumbnails are no stage
  engine_.network.forward(workspace_, outputs_);
  timings.inference_ms = stopwatch.lap_ms();

  // Weights are finite, but sums of huge ones need not be; a NaN would be neither a probability nor JSON.
  const std::span<const float> outputs = outputs_.empty() ? workspace_.embedding() : outputs_;
  if (!std::all_of(outputs.begin(), outputs.end(), [](float output) { return std::isfinite(output); }))
    throw Error(ErrorCode::invalid_model, "the network's outputs for this image are not finite numbers");
  softmax(outputs_, outputs_);

  Record& record = result.record;
  record.width = decoded.view.width;
  record.height = decoded.view.height;
  record.orientation = decoded.orientation;
  record.warnings = std::move(decoded.warnings);
  record.has_classes = !outputs_.empty();
  for (const Prediction& prediction : top_k(outputs_, plan_.top_k)) {
    if (prediction.probability < plan_.min_prob) break;  // those that follow are less probable still
    record.top.push_back(
        {prediction.index, label_of(engine_.labels, prediction.index), prediction.probability});
  }
  if (plan_.timings || plan_.bench) record.timings = timings;
  if (needs.embedding) result.embedding.assign(workspace_.embedding().begin(), workspace_.embedding().end());
}

}  // namespace mnv2::app

#include "app/pipeline/classifier.h"

#include <algorithm>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <utility>

#include "app/base/stopwatch.h"
#include "app/image/thumbnail.h"
#include "app/models/labels.h"
#include "mnv2/error.h"

namespace mnv2::app {

CsvColumns ClassifierPlan::columns(const Engine& engine) const {
  return {.predictions = std::min(top_k, engine.network().num_classes()),
          .probabilities = engine.has_probabilities(),
          .byte_order_mark = byte_order_mark};
}

Classifier::Classifier(const Engine& engine, const ClassifierPlan& plan, int threads, ImageMemory& memory)
    : engine_(engine), plan_(plan), memory_(memory), session_(engine.loaded, threads) {}

Result Classifier::classify(const Input& input, const Needs& needs, EarlyPicture* early) {
  const auto failed = [&](RecordError error) {
    return Result{.record = {.path = input.path, .member = input.member, .error = std::move(error)},
                  .truth = input.truth};
  };
  if (input.error) return failed(*input.error);
  try {
    Result result{.record = {.path = input.path, .member = input.member}, .truth = input.truth};
    if (needs.content) result.content = input.content;
    std::optional<Picture> picture = early != nullptr ? early->take(input.path) : std::nullopt;
    if (!picture) {
      const int short_side = engine_.preprocessor().preprocessing().resize;
      picture.emplace(input.content ? decode_picture(*input.content, plan_.pictures, short_side, memory_)
                                    : load_picture(input.path, plan_.pictures, short_side, memory_));
    }
    classify_picture(*std::move(picture), needs, result);
    return result;
  } catch (const Error& e) {
    return failed({e.code(), e.what()});
  } catch (const std::bad_alloc&) {
    return failed({ErrorCode::out_of_memory, "not enough memory for this image"});
  } catch (const std::exception& e) {
    return failed({ErrorCode::internal, e.what()});
  }
}

void Classifier::classify_picture(Picture picture, const Needs& needs, Result& result) {
  image::DecodedImage& decoded = picture.decoded;
  Timings timings{.read_ms = picture.read_ms, .decode_ms = picture.decode_ms};
  Stopwatch stopwatch;
  session_.set_image(decoded.view);
  timings.preprocess_ms = stopwatch.lap_ms();
  if (needs.thumbnail) result.thumbnail = image::make_thumbnail(decoded.view);
  picture.drop_pixels();

  stopwatch.lap_ms();  // thumbnails are no stage
  const std::span<const float> classes = session_.run();
  timings.inference_ms = stopwatch.lap_ms();

  Record& record = result.record;
  record.width = decoded.width;
  record.height = decoded.height;
  record.orientation = decoded.orientation;
  record.warnings = std::move(decoded.warnings);
  record.has_classes = !classes.empty();
  record.has_probabilities = engine_.has_probabilities();
  for (const Prediction& prediction : top_k(classes, plan_.top_k)) {
    if (record.has_probabilities && prediction.probability < plan_.min_prob)
      break;  // those that follow are less probable still
    record.top.push_back(
        {prediction.index, label_of(engine_.labels, prediction.index), prediction.probability});
  }
  if (plan_.timings) record.timings = timings;
  if (needs.embedding) result.embedding.assign(session_.embedding().begin(), session_.embedding().end());
}

}  // namespace mnv2::app

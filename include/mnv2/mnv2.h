// The engine for C (C99 and later), and through it for every language that can call C: load a model, classify
// RGB pixels, get labels, free. C++ has the headers beside this one, which can do more.
//
// Errors. A function that can fail returns a status, and takes an mnv2_error to tell more, which may be NULL.
// No exception leaves this interface, nothing is printed, and nothing aborts on what a caller or a file
// gives; but a pointer that is neither NULL nor valid, or pixels that are fewer than the image says, cannot
// be noticed.
//
// Threads. The library has no state of its own: every function may be called from any number of threads at
// once, also with the same model, which never changes. A session belongs to one thread at a time: many
// threads share one model and have a session each.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "mnv2/export.h"
#include "mnv2/version.h"

// NOLINTBEGIN(modernize-use-using, readability-identifier-naming): this is C
#ifdef __cplusplus
extern "C" {
#endif

/// What came of a call. The numbers never change.
typedef enum mnv2_status {
  MNV2_OK = 0,
  MNV2_INVALID_ARGUMENT = 1,  ///< NULL where something is needed, or a value out of its range.
  MNV2_FILE_NOT_FOUND = 2,    ///< No file at that path.
  MNV2_FILE_UNREADABLE = 3,   ///< The file exists but cannot be read: permissions, a directory, an I/O error.
  MNV2_INVALID_MODEL = 4,     ///< A model file that cannot be used, or whose outputs are not finite numbers.
  MNV2_UNSUPPORTED_ISA = 5,   ///< An instruction set that is unknown, or not in this CPU or this build.
  MNV2_IMAGE_TOO_LARGE =
      6,                   ///< An image with a side above 2^29 pixels, or whose resize needs more than 1 GiB.
  MNV2_OUT_OF_MEMORY = 7,  ///< The system has no more memory, or no more threads.
  MNV2_INTERNAL = 8        ///< A defect of this library.
} mnv2_status;

/// The stable name of `status`: "ok", "invalid_argument", ..., "internal". Lives forever.
MNV2_API const char* mnv2_status_name(mnv2_status status) MNV2_NOEXCEPT;

/// Why a call failed. Written by every call that it is given to: after one that succeeds, MNV2_OK and an
/// empty message. One that does not fit has "..." in its middle; bytes of a path that are not UTF-8 are '?'.
typedef struct mnv2_error {
  mnv2_status status;
  char message[508];  ///< The object, what was expected, what was found; UTF-8, cut to fit, ends with NUL.
} mnv2_error;

/// A model file, packed for one instruction set, with its preprocessing and its labels. Never changes.
typedef struct mnv2_model mnv2_model;

/// What one image at a time needs: activations, and threads that share the work.
/// A child of fork() has none of these threads: a session made before with more than one must be neither used nor
/// freed there. Models, sessions with one thread and sessions that the child makes are fine.
typedef struct mnv2_session mnv2_session;

/// How to load a model. Zeros are the defaults: `mnv2_model_options options = {0};`
typedef struct mnv2_model_options {
  /// "portable", "avx2", "avx512", "avx512-zen" or "neon"; NULL: the best for this machine.
  const char* isa;
  int resize;  ///< The image's short side before the crop, 1 to 16384 pixels; 0: as the model says.
  /// The side of the square that the network sees, 1 to 4096 pixels, and fewer where the network would need more
  /// than 2 GiB of memory; 0: as the model says.
  int crop;
  /// How the image becomes that square: "crop", "crop-floor", "fit", "squash", "squash-half-pixel" or
  /// "squash-align-corners" (models/README.md). All but the first two have no resize but the crop's. NULL: as the model
  /// says.
  const char* resize_form;
  /// "bilinear", "bicubic", "lanczos" or "nearest"; the last two forms are bilinear. NULL: as the model says.
  const char* interpolation;
  /// "float32", "bfloat16" or "int8"; "fast": the quickest on this CPU that gives float32's answer for 99 of 100 photos.
  /// NULL: float32.
  const char* precision;
} mnv2_model_options;

/// Loads the model file at `path` (as scripts/convert_torchvision.py writes it), checks every byte of it
/// before use and packs the weights.
/// @param options NULL for the defaults.
/// @param model receives the model, which mnv2_model_free() frees; NULL when the call fails.
/// @return MNV2_OK, or MNV2_INVALID_ARGUMENT, _FILE_NOT_FOUND, _FILE_UNREADABLE, _INVALID_MODEL,
/// _UNSUPPORTED_ISA, _OUT_OF_MEMORY.
MNV2_API mnv2_status mnv2_model_load(const char* path, const mnv2_model_options* options, mnv2_model** model,
                                     mnv2_error* error) MNV2_NOEXCEPT;

/// Frees `model`; nothing when it is NULL. Its sessions may be freed before or after it.
MNV2_API void mnv2_model_free(mnv2_model* model) MNV2_NOEXCEPT;

/// How many classes the network tells apart; 0 when it has only an embedding, and for NULL.
MNV2_API int mnv2_model_num_classes(const mnv2_model* model) MNV2_NOEXCEPT;

/// What the predictions are: "softmax": an image is of one class. "sigmoid": each class is there or not, whatever the others
/// are; of a network with one output there are two classes, it and its absence, which comes first. "none": scores. Lives
/// forever. NULL for NULL and for a model without classes.
MNV2_API const char* mnv2_model_output_activation(const mnv2_model* model) MNV2_NOEXCEPT;

/// The name of class `index`, in UTF-8; NULL when the file has no labels, for an index outside 0 to
/// mnv2_model_num_classes() - 1, and without a model. Lives as long as the model.
MNV2_API const char* mnv2_model_label(const mnv2_model* model, int index) MNV2_NOEXCEPT;

/// The side of the square of pixels that the network sees, after resize and centre crop; 0 for NULL.
MNV2_API int mnv2_model_input_size(const mnv2_model* model) MNV2_NOEXCEPT;

/// How many floats the embedding has: the features that the network pools before its classifier; 0 for NULL.
MNV2_API int mnv2_model_embedding_size(const mnv2_model* model) MNV2_NOEXCEPT;

/// The instruction set that the model is packed for, e.g. "avx2"; lives forever. NULL for NULL.
MNV2_API const char* mnv2_model_isa(const mnv2_model* model) MNV2_NOEXCEPT;

/// The precision that the model is packed for, e.g. "float32"; lives forever. NULL for NULL.
MNV2_API const char* mnv2_model_precision(const mnv2_model* model) MNV2_NOEXCEPT;

/// Makes a session with `model`.
/// @param threads how many threads work on one image, the caller's included: 1 to 1024. 1 starts none.
/// Results are the same to the last bit for any number.
/// @param session receives the session, which mnv2_session_free() frees; NULL when the call fails.
/// @return MNV2_OK, or MNV2_INVALID_ARGUMENT, _OUT_OF_MEMORY.
MNV2_API mnv2_status mnv2_session_create(const mnv2_model* model, int threads, mnv2_session** session,
                                         mnv2_error* error) MNV2_NOEXCEPT;

/// Ends the session's threads and frees it, or nothing when it is NULL.
MNV2_API void mnv2_session_free(mnv2_session* session) MNV2_NOEXCEPT;

/// The order of a pixel's three bytes.
typedef enum mnv2_channel_order {
  MNV2_RGB = 0,
  MNV2_BGR = 1  ///< As OpenCV has them.
} mnv2_channel_order;

/// Pixels that the caller owns, three bytes each, as decoded: mnv2_classify() resizes and crops them.
typedef struct mnv2_image {
  const uint8_t* pixels;  ///< [height][row_bytes], rows from top to bottom.
  int width;              ///< 1 to 2^29.
  int height;             ///< 1 to 2^29.
  ptrdiff_t row_bytes;    ///< From one row to the next, at least 3 * width, also of one row; 0: 3 * width.
  int order;              ///< MNV2_RGB, which is 0, or MNV2_BGR.
} mnv2_image;

/// A class and how probable it is.
typedef struct mnv2_prediction {
  int index;  ///< 0 to mnv2_model_num_classes() - 1.
  /// 0 to 1. With the output activation "softmax" and of a binary model those of all classes add up to 1; with "none" it
  /// is no probability but a score, any number.
  float probability;
} mnv2_prediction;

/// Classifies one image: resizes, crops and normalises it, bit for bit as Pillow does or to 1e-6 in floats, and runs
/// the network.
/// @param image only read, during the call.
/// @param top_k how many classes are wanted; as many as there are when it is more. 0 for the embedding alone,
/// which is all that a model without classes gives.
/// @param predictions [top_k], written: the most probable classes, the most probable first, ties by smaller
/// index. May be NULL when top_k is 0.
/// @param count receives how many predictions were written, 0 when the call fails; may be NULL.
/// @return MNV2_OK, or MNV2_INVALID_ARGUMENT, _INVALID_MODEL, _IMAGE_TOO_LARGE, _OUT_OF_MEMORY.
MNV2_API mnv2_status mnv2_classify(mnv2_session* session, const mnv2_image* image, int top_k,
                                   mnv2_prediction* predictions, int* count, mnv2_error* error) MNV2_NOEXCEPT;

/// The embedding of the image that the session's last mnv2_classify() succeeded with:
/// mnv2_model_embedding_size() floats, which the next one overwrites and mnv2_session_free() frees. NULL
/// before, after a failure, and for NULL.
MNV2_API const float* mnv2_session_embedding(const mnv2_session* session) MNV2_NOEXCEPT;

#ifdef __cplusplus
}
#endif
// NOLINTEND(modernize-use-using, readability-identifier-naming)

/* Tells what is in an image, in C: classify_c MODEL IMAGE.ppm
 * Prints the five most probable classes: index, probability, label. */
#include <stdio.h>
#include <stdlib.h>

#include "mnv2/mnv2.h"

/* A binary PPM file: "P6 WIDTH HEIGHT 255", one white space, and the pixels. Any decoder serves as well.
 * Returns pixels to be freed, or NULL. */
static uint8_t* read_ppm(const char* path, mnv2_image* image) {
  FILE* file = fopen(path, "rb");
  uint8_t* pixels = NULL;
  int largest = 0;
  if (file == NULL) return NULL;
  if (fscanf(file, "P6 %d %d %d", &image->width, &image->height, &largest) == 3 && largest == 255 &&
      image->width > 0 && image->height > 0 && getc(file) != EOF) {
    const size_t row = 3 * (size_t)image->width;
    pixels = malloc(row * (size_t)image->height);
    if (pixels != NULL && fread(pixels, row, (size_t)image->height, file) != (size_t)image->height) {
      free(pixels);
      pixels = NULL;
    }
  }
  fclose(file);
  image->pixels = pixels;
  return pixels;
}

static int classify(const char* model_path, const mnv2_image* image) {
  mnv2_model* model = NULL;     /* never changes: threads share it */
  mnv2_session* session = NULL; /* each thread has one of its own */
  mnv2_prediction top[5];
  mnv2_error error;
  int count = 0;
  if (mnv2_model_load(model_path, NULL, &model, &error) == MNV2_OK &&
      mnv2_session_create(model, 1, &session, &error) == MNV2_OK)
    mnv2_classify(session, image, 5, top, &count, &error);
  for (int i = 0; i < count; ++i) {
    const char* label = mnv2_model_label(model, top[i].index);
    printf("%d\t%.9g\t%s\n", top[i].index, top[i].probability, label != NULL ? label : "");
  }
  if (error.status != MNV2_OK) fprintf(stderr, "classify_c: %s\n", error.message);
  mnv2_session_free(session);
  mnv2_model_free(model);
  return error.status == MNV2_OK ? 0 : 1;
}

int main(int argc, char** argv) {
  mnv2_image image = {0};
  uint8_t* pixels;
  int status;
  if (argc != 3) {
    fputs("usage: classify_c MODEL IMAGE.ppm\n", stderr);
    return 2;
  }
  pixels = read_ppm(argv[2], &image);
  if (pixels == NULL) {
    fprintf(stderr, "classify_c: %s: not a PPM file of 8 bits\n", argv[2]);
    return 1;
  }
  status = classify(argv[1], &image);
  free(pixels);
  return status;
}

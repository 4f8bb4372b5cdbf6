#include "mnv2/version.h"

const char* mnv2_version(void) noexcept { return MNV2_VERSION_STRING; }

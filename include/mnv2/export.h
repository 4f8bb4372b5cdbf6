// What the shared library exports: all that is marked MNV2_API, and nothing else. For C and C++.
#pragma once

#if defined(__GNUC__)
#define MNV2_API __attribute__((visibility("default")))
#else
#define MNV2_API
#endif

// Of functions that C and C++ share: they throw nothing.
#ifdef __cplusplus
#define MNV2_NOEXCEPT noexcept
#else
#define MNV2_NOEXCEPT
#endif

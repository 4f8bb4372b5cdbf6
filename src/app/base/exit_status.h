// Exit statuses of the program. Never 255, on which xargs stops.
#pragma once

namespace mnv2::app {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;        // some input failed
inline constexpr int kExitUsage = 2;         // the command line or the environment asks for what cannot be
inline constexpr int kExitModel = 3;         // no model, or one that cannot be used
inline constexpr int kExitOutput = 4;        // results could not be written or put where they belong
inline constexpr int kExitSignalBase = 128;  // plus the signal's number: 130 SIGINT, 143 SIGTERM

}  // namespace mnv2::app

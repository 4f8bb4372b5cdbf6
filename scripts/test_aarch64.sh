#!/usr/bin/env bash
# Builds the engine for aarch64 with a cross compiler and runs its tests under qemu-user.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<EOF
Usage: scripts/test_aarch64.sh [CTEST OPTION...]

Installs what is missing (apt): the cross compiler and qemu-user. Builds the engine, its tests and tools for aarch64 into
build-aarch64/, without the program, whose libraries Debian has for the host only. Runs the tests through ctest under
qemu-aarch64, all but those of the Python scripts, which are the same everywhere. The options go to ctest, e.g.
scripts/test_aarch64.sh -R kernels.

\$PYTHON chooses an interpreter that has torchvision, Pillow and numpy (default: /usr/bin/python3).
EOF
}

main() {
  check_ctest_options "$@"
  install_packages g++-aarch64-linux-gnu qemu-user cmake ninja-build catch2 nlohmann-json3-dev
  choose_python
  need_modules numpy=python3-numpy torch=python3-torch torchvision=python3-torchvision PIL=python3-pil

  local dir=$root/build-aarch64
  say "Building Release with tests for aarch64 in build-aarch64/"
  configure "$dir" -DCMAKE_TOOLCHAIN_FILE="$root/tests/aarch64-toolchain.cmake" -DMNV2_BUILD_APP=OFF \
    -DMNV2_PYTHON="$python"
  build "$dir"
  say "Running the tests under qemu-aarch64"
  local found=()
  (($#)) || found=(--no-tests=error)
  ctest --test-dir "$dir" --output-on-failure --parallel "$jobs" --exclude-regex '^test_(converter|scripts|compare_peers)' \
    "${found[@]}" "$@" </dev/null
  say "All tests passed on aarch64"
}

main "$@"

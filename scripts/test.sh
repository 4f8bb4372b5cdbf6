#!/usr/bin/env bash
# Installs, builds and runs the whole test suite, then the C++ tests once more under ASan and UBSan.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<EOF
Usage: scripts/test.sh [CTEST ARGUMENT...]

Installs what is missing (apt), builds Release with tests into build/ and runs them all through ctest; then builds with
AddressSanitizer and UndefinedBehaviorSanitizer into build-asan/ and runs all tests there but those of labels python and shared.
Arguments go to both runs of ctest, e.g. scripts/test.sh -R kernels.

\$PYTHON chooses an interpreter that has torch, torchvision, Pillow and numpy (default: /usr/bin/python3).
EOF
}

# run_tests DIR [CTEST ARGUMENT...]
run_tests() {
  local dir=$1
  shift
  "${prefix[@]}" ctest --test-dir "$dir" --output-on-failure --parallel "$jobs" "$@" </dev/null
}

main() {
  case ${1:-} in
    -h | --help) usage && exit 0 ;;
  esac
  install_packages "${build_packages[@]}" catch2
  choose_python
  need_modules numpy=python3-numpy torch=python3-torch torchvision=python3-torchvision PIL=python3-pil

  say "Building Release with tests in build/"
  configure "$root/build" -DCMAKE_BUILD_TYPE=Release -DMNV2_BUILD_TESTS=ON -DMNV2_PYTHON="$python"
  build "$root/build"
  say "Running all tests"
  local prefix=() found=()
  (($#)) || found=(--no-tests=error)
  run_tests "$root/build" "${found[@]}" "$@"

  say "Building with AddressSanitizer and UndefinedBehaviorSanitizer in build-asan/"
  configure "$root/build-asan" -DCMAKE_BUILD_TYPE=Release -DMNV2_BUILD_TESTS=ON -DMNV2_PYTHON="$python" \
    -DMNV2_SANITIZE=address,undefined
  build "$root/build-asan"
  say "Running the C++ tests under the sanitizers"
  # gcc's sanitizers before 14 crash at random where the kernel randomises more address bits than they expect.
  if setarch "$(uname -m)" -R true 2>/dev/null; then
    prefix=(setarch "$(uname -m)" -R)
  fi
  run_tests "$root/build-asan" --label-exclude "python|shared" "${found[@]}" "$@"
  say "All tests passed"
}

main "$@"

#!/usr/bin/env bash
# Installs, builds and runs the whole test suite, then what is C++ once more under sanitizers and for a while under a fuzzer.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<EOF
Usage: scripts/test.sh [CTEST OPTION...]

Installs what is missing (apt) and runs through ctest:
  build/       Release: all tests
  build-asan/  AddressSanitizer and UndefinedBehaviorSanitizer: all tests but the long ones of labels scripts and sweep
  build-tsan/  ThreadSanitizer: the tests of label threads
  build-fuzz/  clang's libFuzzer on what reads untrusted bytes (label fuzz), some seconds each; skipped without clang-16
The options go to each run of ctest, e.g. scripts/test.sh -R kernels.

\$PYTHON chooses an interpreter that has torch, torchvision, Pillow and numpy (default: /usr/bin/python3).
EOF
}

# run_tests DIR [CTEST OPTION...]
run_tests() {
  local dir=$1
  shift
  "${prefix[@]}" ctest --test-dir "$dir" --output-on-failure --parallel "$jobs" "$@" </dev/null
}

main() {
  check_ctest_options "$@"
  install_packages "${build_packages[@]}" "${test_packages[@]}" "${figure_packages[@]}"
  choose_python
  # An interpreter of one's own may lack these: the tests that draw figures say then that they are skipped.
  [[ -n ${PYTHON:-} ]] || install_packages "${figure_modules[@]}" "${converter_modules[@]}"
  need_modules numpy=python3-numpy torch=python3-torch torchvision=python3-torchvision PIL=python3-pil

  say "Building Release with tests in build/"
  configure "$root/build" -DCMAKE_BUILD_TYPE=Release -DMNV2_BUILD_TESTS=ON -DMNV2_PYTHON="$python"
  build "$root/build"
  say "Running all tests"
  local prefix=() found=()
  (($#)) || found=(--no-tests=error)
  run_tests "$root/build" "${found[@]}" "$@"

  # gcc's sanitizers before 14 crash at random where the kernel randomises more address bits than they expect.
  if setarch "$(uname -m)" -R true 2>/dev/null; then
    prefix=(setarch "$(uname -m)" -R)
  fi
  local common=(-DCMAKE_BUILD_TYPE=Release -DMNV2_BUILD_TESTS=ON -DMNV2_PYTHON="$python")
  say "Building with AddressSanitizer and UndefinedBehaviorSanitizer in build-asan/"
  configure "$root/build-asan" "${common[@]}" -DMNV2_SANITIZE=address,undefined
  build "$root/build-asan"
  say "Running the tests under AddressSanitizer and UndefinedBehaviorSanitizer"
  run_tests "$root/build-asan" --label-exclude '^(scripts|sweep)$' "${found[@]}" "$@"

  say "Building with ThreadSanitizer in build-tsan/"
  configure "$root/build-tsan" "${common[@]}" -DMNV2_SANITIZE=thread
  build "$root/build-tsan" --target thread_tests
  say "Running the tests of threads under ThreadSanitizer"
  TSAN_OPTIONS="suppressions=$root/tests/tsan_suppressions.txt${TSAN_OPTIONS:+ $TSAN_OPTIONS}" \
    run_tests "$root/build-tsan" --label-regex '^threads$' "${found[@]}" "$@"

  if command -v clang++-16 >/dev/null || apt-cache show clang-16 >/dev/null 2>&1; then
    install_packages "${fuzz_packages[@]}"
    say "Building the fuzz targets in build-fuzz/"
    configure "$root/build-fuzz" "${common[@]}" -DCMAKE_CXX_COMPILER=clang++-16 -DMNV2_FUZZ=ON \
      -DMNV2_SANITIZE=address,undefined
    build "$root/build-fuzz" --target fuzz_tests
    say "Fuzzing"
    run_tests "$root/build-fuzz" --label-regex '^fuzz$' "${found[@]}" "$@"
  else
    say "SKIPPED: there is no clang-16 to fuzz with"
  fi
  say "All tests passed"
}

main "$@"

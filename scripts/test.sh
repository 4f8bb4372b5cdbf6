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
  build-asan/  AddressSanitizer and UndefinedBehaviorSanitizer: all tests but those of labels long, scripts and sweep
  build-tsan/  ThreadSanitizer: the tests of label threads
  build-fuzz/  libFuzzer of the newest clang there is on what reads untrusted bytes (label fuzz), some seconds each
The options go to each run of ctest, e.g. scripts/test.sh -R kernels. In the end, what each run closed with is repeated.

MNV2_OPENCV=system tests with the distribution's OpenCV instead of that of scripts/build_opencv.sh.

\$PYTHON chooses an interpreter that has torch, torchvision, Pillow and numpy (default: /usr/bin/python3).
EOF
}

# run_tests NAME DIR [CTEST OPTION...]: notes in $closing what ctest said in the end.
run_tests() {
  local name=$1 dir=$2 status=0 line
  shift 2
  "${prefix[@]}" ctest --test-dir "$dir" --output-on-failure --parallel "$jobs" "$@" </dev/null | tee "$dir/ctest.log" ||
    status=$?
  while IFS= read -r line; do
    closing+=("$name: $line")
  done < <(grep -E '^([0-9]+% tests passed|Total Test time|No tests were found)' "$dir/ctest.log")
  return "$status"
}

main() {
  check_ctest_options "$@"
  install_packages "${build_packages[@]}" "${test_packages[@]}" "${figure_packages[@]}"
  choose_python
  # An interpreter of one's own may lack these: the tests that draw figures say then that they are skipped.
  [[ -n ${PYTHON:-} ]] || install_packages "${figure_modules[@]}" "${converter_modules[@]}"
  need_modules numpy=python3-numpy torch=python3-torch torchvision=python3-torchvision PIL=python3-pil
  need_opencv

  local closing=() common=(-DCMAKE_BUILD_TYPE=Release -DMNV2_BUILD_TESTS=ON -DMNV2_PYTHON="$python" "${opencv_options[@]}")
  say "Building Release with tests in build/"
  configure "$root/build" "${common[@]}"
  build "$root/build"
  say "Running all tests"
  local prefix=() found=()
  (($#)) || found=(--no-tests=error)
  run_tests Release "$root/build" "${found[@]}" "$@"

  # gcc's sanitizers before 14 crash at random where the kernel randomises more address bits than they expect.
  if setarch "$(uname -m)" -R true 2>/dev/null; then
    prefix=(setarch "$(uname -m)" -R)
  fi
  say "Building with AddressSanitizer and UndefinedBehaviorSanitizer in build-asan/"
  configure "$root/build-asan" "${common[@]}" -DMNV2_SANITIZE=address,undefined
  build "$root/build-asan"
  say "Running the tests under AddressSanitizer and UndefinedBehaviorSanitizer"
  run_tests "ASan and UBSan" "$root/build-asan" --label-exclude '^(long|scripts|sweep)$' "${found[@]}" "$@"

  say "Building with ThreadSanitizer in build-tsan/"
  configure "$root/build-tsan" "${common[@]}" -DMNV2_SANITIZE=thread
  build "$root/build-tsan" --target thread_tests
  say "Running the tests of threads under ThreadSanitizer"
  TSAN_OPTIONS="suppressions=$root/tests/tsan_suppressions.txt${TSAN_OPTIONS:+ $TSAN_OPTIONS}" \
    run_tests TSan "$root/build-tsan" --label-regex '^threads$' "${found[@]}" "$@"

  local clang
  clang=$(newest_clang)
  if [[ -n $clang ]]; then
    local fuzz=()
    mapfile -t fuzz < <(fuzz_packages "$clang")
    install_packages "${fuzz[@]}"
    say "Building the fuzz targets with clang $clang in build-fuzz/"
    configure "$root/build-fuzz" "${common[@]}" -DCMAKE_CXX_COMPILER="clang++-$clang" -DMNV2_FUZZ=ON \
      -DMNV2_SANITIZE=address,undefined
    build "$root/build-fuzz" --target fuzz_tests
    say "Fuzzing"
    run_tests Fuzzing "$root/build-fuzz" --label-regex '^fuzz$' "${found[@]}" "$@"
  else
    closing+=("SKIPPED: there is no clang to fuzz with")
  fi
  local line
  for line in "${closing[@]}"; do say "$line"; done
  say "All tests passed"
}

main "$@"

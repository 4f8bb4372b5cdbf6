#!/usr/bin/env bash
# What a release needs beside test.sh: the tests of decoding with the distribution's OpenCV, and those of the packages.
set -euo pipefail
export MNV2_OPENCV=system
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<EOT
Usage: scripts/test_release.sh [CTEST OPTION...]

Installs what is missing (apt), builds Release with the distribution's OpenCV and with tests into build-system/, and runs
what decoding has to do with: the tests of the image room, of the command line, of damaged files and of real photos. The
options go to ctest, e.g. -R image.
Then makes the packages twice, with the OpenCV of scripts/build_opencv.sh, and installs one in a clean root (ctest -C
package -L package), which takes minutes; installs debootstrap for that.

\$PYTHON chooses an interpreter that has torch, torchvision, Pillow and numpy (default: /usr/bin/python3).
EOT
}

main() {
  check_ctest_options "$@"
  install_packages "${build_packages[@]}" "${unit_test_packages[@]}" dpkg-dev file debootstrap
  choose_python
  need_modules numpy=python3-numpy torch=python3-torch torchvision=python3-torchvision PIL=python3-pil
  need_opencv

  local dir=$root/build-system
  say "Building Release with the distribution's OpenCV and tests in build-system/"
  configure "$dir" -DCMAKE_BUILD_TYPE=Release "${opencv_options[@]}" -DMNV2_PYTHON="$python" \
    -DMNV2_PACKAGE_OPENCV="$root/build/opencv"
  build "$dir"
  say "Running the tests of the program"
  local chosen=(--no-tests=error --tests-regex '^test_(image|app|cli|corpus|photos)')
  (($#)) && chosen=("$@")
  # What this OpenCV loads has OpenBLAS with it, whose thread is none of ours.
  OPENBLAS_NUM_THREADS=1 ctest --test-dir "$dir" --output-on-failure --parallel "$jobs" "${chosen[@]}" </dev/null

  say "Making and testing the packages"
  [[ -n $(find "$root/build/opencv" -name OpenCVConfig.cmake 2>/dev/null) ]] || "$root/scripts/build_opencv.sh" >/dev/null
  ctest --test-dir "$dir" --output-on-failure --build-config package --label-regex package --no-tests=error </dev/null
  say "All tests passed with the distribution's OpenCV, and those of the packages"
}

main "$@"

#!/usr/bin/env bash
# Runs the tests of the program with the lean OpenCV, and those of the packages.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<EOT
Usage: scripts/test_lean.sh [CTEST OPTION...]

Installs what is missing (apt), builds the lean OpenCV into build/opencv unless it is there (scripts/build_opencv.sh),
builds Release with it and with tests into build-lean/, and runs what decoding has to do with: the tests of the image
room, of the command line, of damaged files and of real photos. The options go to ctest, e.g. -R image.
Then makes the packages twice and installs one in a clean root (ctest -C package -L package), which takes minutes;
installs debootstrap for that.

\$PYTHON chooses an interpreter that has torch, torchvision, Pillow and numpy (default: /usr/bin/python3).
EOT
}

main() {
  check_ctest_options "$@"
  install_packages "${build_packages[@]}" catch2 dpkg-dev file debootstrap
  choose_python
  need_modules numpy=python3-numpy torch=python3-torch torchvision=python3-torchvision PIL=python3-pil

  local dir=$root/build-lean opencv=$root/build/opencv config
  config=$(find "$opencv" -name OpenCVConfig.cmake -printf '%h\n' 2>/dev/null | head -n 1) || true
  [[ -n $config ]] || config=$("$root/scripts/build_opencv.sh" --prefix "$opencv")
  say "Building Release with the lean OpenCV and tests in build-lean/"
  configure "$dir" -DCMAKE_BUILD_TYPE=Release -DOpenCV_DIR="$config" -DMNV2_PACKAGE_OPENCV="$opencv" -DMNV2_PYTHON="$python"
  build "$dir"
  say "Running the tests of the program"
  local chosen=(--no-tests=error --tests-regex '^test_(image|app|cli|corpus|photos)')
  (($#)) && chosen=("$@")
  ctest --test-dir "$dir" --output-on-failure --parallel "$jobs" "${chosen[@]}" </dev/null
  say "Making and testing the packages"
  ctest --test-dir "$dir" --output-on-failure --build-config package --label-regex package --no-tests=error </dev/null
  say "All tests passed with the lean OpenCV"
}

main "$@"

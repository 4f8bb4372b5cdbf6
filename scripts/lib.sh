# shellcheck shell=bash
# Shared by the shell scripts here: saying what is done, refusing arguments, installing packages, choosing Python,
# building. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=$(basename "$0")
jobs=$(nproc)

say() { printf '==> %s\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "$script" "$*" >&2
  exit 1
}

usage_error() {
  printf '%s: %s (try --help)\n' "$script" "$*" >&2
  exit 2
}

# check_ctest_options OPTION...: prints the usage when that is asked for, and refuses what is no option of ctest, which
# itself takes no notice of it and runs all tests. Known are those that choose tests, run them and show what they say.
check_ctest_options() {
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      -[CEILORj] | -LE | -F[ACS] | --build-config | --tests-regex | --exclude-regex | --label-regex | \
        --label-exclude | --fixture-exclude-any | --fixture-exclude-setup | --fixture-exclude-cleanup | \
        --tests-information | --parallel | --test-load | --repeat | --repeat-until-fail | --timeout | --stop-time | \
        --output-log | --output-junit | --max-width | --test-output-size-passed | --test-output-size-failed | \
        --test-output-truncation | --resource-spec-file)
        (($# > 1)) || usage_error "$1 needs a value"
        shift
        ;;
      -[FNQUV] | -VV | --verbose | --extra-verbose | --quiet | --debug | --progress | --output-on-failure | \
        --stop-on-failure | --rerun-failed | --union | --schedule-random | --print-labels | --no-label-summary | \
        --no-subproject-summary | --show-only | --show-only=* | --no-tests=*) ;;
      -j[0-9]*) ;;
      -*) usage_error "unknown option $1" ;;
      *) usage_error "unexpected argument $1" ;;
    esac
    shift
  done
}

# quietly COMMAND...: shows the output only when the command fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    rm -f "$log"
    die "failed: $*"
  fi
  rm -f "$log"
}

# as_root COMMAND...: directly for root, else through sudo, which may ask for a password on the terminal.
as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  else
    sudo "$@"
  fi
}

# missing_packages PACKAGE...: those that are not installed, one a line.
missing_packages() {
  local package
  for package in "$@"; do
    # The status is "install ok installed", once for each architecture that the package is known for.
    [[ $(dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null) == *"install ok installed"* ]] || echo "$package"
  done
}

# install_packages PACKAGE...: through apt, only those that are missing, and nothing that is merely recommended.
install_packages() {
  local missing=()
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "no apt-get here; install what these Debian packages hold: ${missing[*]}"
  [[ $(id -u) == 0 ]] || command -v sudo >/dev/null || die "neither root nor sudo to install: ${missing[*]}"
  say "Installing ${missing[*]}"
  apt=(apt-get -qq --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  quietly as_root "${apt[@]}" update
  say "$(describe_cost "${missing[@]}")"
  local log
  log=$(mktemp)
  # apt's status has a pipe of its own: apt makes that one non-blocking, and scripts of packages fail where what they say
  # has no room at once. sudo passes on the three standard streams alone.
  # shellcheck disable=SC2016
  if ! as_root env DEBIAN_FRONTEND=noninteractive sh -c 'exec "$@" 3>&1 >&2' sh \
    "${apt[@]}" -o APT::Status-Fd=3 install -y "${missing[@]}" 2>"$log" </dev/null | show_progress; then
    cat "$log" >&2
    rm -f "$log"
    die "failed: apt-get install ${missing[*]}"
  fi
  rm -f "$log"
}

# describe_cost PACKAGE...: what it takes to install these. From lists that all versions of apt print alike.
describe_cost() {
  local plan=() kilobytes bytes
  # A line is "Inst NAME [OLD VERSION] (VERSION ORIGIN [ARCHITECTURE])".
  mapfile -t plan < <("${apt[@]}" --simulate install "$@" 2>/dev/null | sed -nE 's/^Inst (\S+)( \[[^]]*\])? \((\S+).*/\1=\3/p')
  bytes=$("${apt[@]}" --print-uris -y install "$@" 2>/dev/null | awk '/^'\''/ { sum += $3 } END { print sum + 0 }')
  kilobytes=$(apt-cache show "${plan[@]}" 2>/dev/null | awk '/^Installed-Size:/ { sum += $2 } END { print sum + 0 }')
  echo "That is ${#plan[@]} packages: $((bytes / 1000000)) MB to download, $((kilobytes / 1000)) MB on the disk"
}

# show_progress: reads apt's status (APT::Status-Fd) and shows how far it is, on a terminal in one line, else in a line for
# every fifth.
show_progress() {
  local line stage percent last=''
  while IFS= read -r line; do
    case $line in
      dlstatus:*) stage=downloading ;;
      pmstatus:*) stage=unpacking ;;
      *) continue ;;
    esac
    [[ $line =~ :([0-9]+)\.[0-9]+: ]] || continue
    percent=${BASH_REMATCH[1]}
    [[ -t 2 ]] || percent=$((percent / 20 * 20))
    [[ $stage$percent != "$last" ]] || continue
    last=$stage$percent
    if [[ -t 2 ]]; then
      printf '\r==> apt: %s, %d %%\033[K' "$stage" "$percent" >&2
    else
      say "apt: $stage, $percent %"
    fi
  done
  [[ -z $last || ! -t 2 ]] || echo >&2
}

# The interpreter for all Python code: $PYTHON, else the system's, where Debian's python3-torch lives.
choose_python() {
  python=${PYTHON:-/usr/bin/python3}
  if [[ -n ${PYTHON:-} ]]; then
    python=$(command -v "$PYTHON") || die "PYTHON=$PYTHON: no such program"
  else
    install_packages python3
  fi
}

# need_modules MODULE=PACKAGE...: what $python cannot import is installed, when it is the system's interpreter.
need_modules() {
  local pair packages=()
  for pair in "$@"; do
    "$python" -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('${pair%%=*}') is None)" \
      </dev/null || packages+=("${pair#*=}")
  done
  ((${#packages[@]})) || return 0
  [[ -z ${PYTHON:-} ]] || die "PYTHON=$PYTHON has no module of ${packages[*]}; install it there, or unset PYTHON"
  install_packages "${packages[@]}"
}

# Which OpenCV decodes images: build_opencv.sh's, or the distribution's, which loads 140 libraries, one of which starts a
# thread of its own in every process.
use_system_opencv() { [[ ${MNV2_OPENCV:-lean} == system ]]; }

build_packages=(g++ cmake ninja-build libjpeg-dev libpng-dev libcli11-dev nlohmann-json3-dev libspdlog-dev)
case ${MNV2_OPENCV:-lean} in
  lean) build_packages+=(zlib1g-dev xz-utils patch) ;;
  system) build_packages+=(libopencv-dev) ;;
  *) usage_error "MNV2_OPENCV=$MNV2_OPENCV, expected lean or system" ;;
esac

# need_opencv: builds the lean OpenCV in build/opencv where it is wanted and missing. Sets opencv_options, for cmake.
need_opencv() {
  local config
  if use_system_opencv; then
    config=$(dpkg -L libopencv-dev | sed -n 's:/OpenCVConfig\.cmake$::p')
  else
    config=$(find "$root/build/opencv" -name OpenCVConfig.cmake -printf '%h\n' -quit 2>/dev/null) || true
    [[ -n $config ]] || config=$("$root/scripts/build_opencv.sh")
  fi
  [[ -n $config ]] || die "no OpenCVConfig.cmake in libopencv-dev"
  # shellcheck disable=SC2034  # used by the scripts that source this
  opencv_options=(-DOpenCV_DIR="$config")
}

# What the tests of the engine and the program need at least.
# shellcheck disable=SC2034  # used by the scripts that source this
unit_test_packages=(catch2 python3)

# What tests look at the program with: other programs that start it, readers of its manual, a browser for its report.
# shellcheck disable=SC2034  # used by the scripts that source this
test_packages=("${unit_test_packages[@]}" pkg-config parallel slurm-wlm man-db groff mandoc chromium
  jq libimage-exiftool-perl python3-distributed)

# What draws figures (scripts/make_figures.py): the modules for the system's interpreter, the programs, the fonts.
# shellcheck disable=SC2034  # used by the scripts that source this
figure_modules=(python3-matplotlib python3-qrcode)
# shellcheck disable=SC2034  # used by the scripts that source this
figure_packages=(graphviz zint fonts-dejavu-core fonts-liberation fonts-open-sans fonts-lato fonts-comic-neue
  fonts-freefont-ttf fonts-crosextra-caladea fonts-crosextra-carlito fonts-roboto-unhinted fonts-hack)

# What the converter's tests read and write other programs' files with.
# shellcheck disable=SC2034  # used by the scripts that source this
converter_modules=(python3-h5py python3-onnx python3-flatbuffers)

# newest_clang: the largest N of which there is clang++-N, installed or in apt's lists; nothing where there is none.
newest_clang() {
  {
    compgen -c clang++- || true
    apt-cache pkgnames clang- 2>/dev/null || true
  } | sed -nE 's/^clang(\+\+)?-([0-9]+)$/\2/p' | sort -n | tail -n 1
}

# fuzz_packages N: what clang N and its libFuzzer are in. Ubuntu 22.04 has the latter in a package of another name.
fuzz_packages() {
  local name
  echo "clang-$1"
  for name in "libclang-rt-$1-dev" "libclang-common-$1-dev"; do
    apt-cache show "$name" >/dev/null 2>&1 && echo "$name" && return
  done
}

# configure DIR [CMAKE OPTION...]
configure() {
  local dir=$1 generator=()
  shift
  [[ -f $dir/CMakeCache.txt ]] || generator=(-G Ninja)
  command -v ccache >/dev/null && generator+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  quietly cmake -S "$root" -B "$dir" "${generator[@]}" "$@"
}

# build DIR [CMAKE --build OPTION...]: the compiler's output goes to stderr.
build() {
  local dir=$1
  shift
  cmake --build "$dir" --parallel "$jobs" "$@" >&2 </dev/null
}

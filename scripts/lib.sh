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

# install_packages PACKAGE...: through apt, only those that are missing.
install_packages() {
  local package missing=()
  for package in "$@"; do
    # The status is "install ok installed", once for each architecture that the package is known for.
    [[ $(dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null) == *"install ok installed"* ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "no apt-get here; install what these Debian packages hold: ${missing[*]}"
  [[ $(id -u) == 0 ]] || command -v sudo >/dev/null || die "neither root nor sudo to install: ${missing[*]}"
  say "Installing ${missing[*]}"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
  quietly as_root "${apt[@]}" update
  quietly as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
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

# shellcheck disable=SC2034  # used by the scripts that source this
build_packages=(g++ cmake ninja-build libopencv-dev libjpeg-dev libpng-dev libcli11-dev nlohmann-json3-dev libspdlog-dev)

# What tests look at the program with: other programs that start it, readers of its manual, a browser for its report.
# shellcheck disable=SC2034  # used by the scripts that source this
test_packages=(catch2 pkg-config parallel slurm-wlm man-db groff mandoc chromium)

# What draws figures (scripts/make_figures.py): the modules for the system's interpreter, the programs, the fonts.
# shellcheck disable=SC2034  # used by the scripts that source this
figure_modules=(python3-matplotlib python3-qrcode)
# shellcheck disable=SC2034  # used by the scripts that source this
figure_packages=(graphviz zint fonts-dejavu-core fonts-liberation fonts-open-sans fonts-lato fonts-comic-neue
  fonts-freefont-ttf fonts-crosextra-caladea fonts-crosextra-carlito fonts-roboto-unhinted fonts-hack)

# What the converter's tests read and write other programs' files with.
# shellcheck disable=SC2034  # used by the scripts that source this
converter_modules=(python3-h5py python3-onnx python3-flatbuffers)

# shellcheck disable=SC2034  # used by the scripts that source this
fuzz_packages=(clang-16 libclang-rt-16-dev)

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

#!/usr/bin/env bash
# Checks the sources without running them - format, shell, Python, clang-tidy - and runs the tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

all_parts=(format shell python tidy test)
quick_parts=(format shell python)

usage() {
  cat <<EOF
Usage: scripts/check.sh [PART...]

Installs what is missing (apt) and does the parts named, in this order, each to its end; without any, all of them:
  format  clang-format-14: every .cpp, .h and .c is as .clang-format has it
  shell   shellcheck: every shell script
  python  flake8: errors and unused names in every Python script
  tidy    clang-tidy-16 with .clang-tidy: every source file; takes minutes (scripts/run_tidy.py build-tidy PATTERN: some files)
  test    scripts/test.sh: all tests, also under sanitizers and a fuzzer
  quick   format, shell and python: seconds
  fix     not a check: rewrites every .cpp, .h and .c as .clang-format has it
Exit status: 0 all is well, 1 some part failed, 2 usage. Continuous integration runs quick and test.
EOF
}

parse_arguments() {
  local part
  parts=()
  for part in "$@"; do
    case $part in
      -h | --help) usage && exit 0 ;;
      format | shell | python | tidy | test | fix) parts+=("$part") ;;
      quick) parts+=("${quick_parts[@]}") ;;
      *) usage_error "unknown part $part" ;;
    esac
  done
  (($#)) || parts=("${all_parts[@]}")
}

# sources PATTERN...: the files of these names, NUL between them. No git: a clone of another owner is as good.
sources() {
  local names=(-name "$1")
  while shift && (($#)); do names+=(-o -name "$1"); done
  find .ci include scripts src tests -type f \( "${names[@]}" \) -print0 | sort -z
}

run_format() { sources '*.cpp' '*.h' '*.c' | xargs -0 clang-format-14 --dry-run --Werror; }
run_fix() { sources '*.cpp' '*.h' '*.c' | xargs -0 clang-format-14 -i; }
run_shell() { sources '*.sh' run | xargs -0 shellcheck --external-sources; }
# E9: what does not compile; F: names unused, undefined, defined twice.
run_python() { sources '*.py' | xargs -0 /usr/bin/python3 -m flake8 --isolated --select=E9,F; }
run_test() { "$root/scripts/test.sh"; }
run_tidy() {
  configure "$root/build-tidy" -DCMAKE_BUILD_TYPE=Release -DMNV2_BUILD_TESTS=ON -DCMAKE_CXX_COMPILER=clang++-16
  /usr/bin/python3 "$root/scripts/run_tidy.py" "$root/build-tidy"
}

install_for() {
  case $1 in
    format | fix) install_packages clang-format-14 ;;
    shell) install_packages shellcheck ;;
    python) install_packages python3 python3-flake8 ;;
    tidy) install_packages python3 clang-16 clang-tidy-16 "${build_packages[@]}" catch2 ;;
  esac
}

main() {
  parse_arguments "$@"
  cd "$root"
  local part failed=()
  for part in "${parts[@]}"; do
    say "Checking: $part"
    install_for "$part"
    "run_$part" || failed+=("$part")
  done
  ((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
  say "All is well: ${parts[*]}"
}

main "$@"

#!/usr/bin/env bash
# Makes the packages: a .deb and a .tar.gz, linked to the lean OpenCV, the same bytes wherever they are made.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<EOT
Usage: scripts/package.sh [--model FILE]... [--opencv DIR] [--output DIR]

Installs what is missing (apt), builds the lean OpenCV into build/opencv unless it is there (scripts/build_opencv.sh),
builds the program with it, and makes a .deb and a .tar.gz of program, models and documents. Prints their names.

  --model FILE   a model file to put in; may be repeated (default: models/*.safetensors)
  --opencv DIR   the prefix of a static OpenCV that is there already
  --output DIR   where to put the packages (default: build/packages)
  -h, --help     this text

Times in the packages are \$SOURCE_DATE_EPOCH, or that of the last commit.
EOT
}

parse_arguments() {
  models=() opencv=$root/build/opencv output=$root/build/packages
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --model | --opencv | --output)
        [[ -n ${2:-} ]] || usage_error "$1 needs a value"
        set_value "$1" "$2"
        shift
        ;;
      --model=?* | --opencv=?* | --output=?*) set_value "${1%%=*}" "${1#*=}" ;;
      *) usage_error "unknown argument $1" ;;
    esac
    shift
  done
}

set_value() {
  local path
  path=$(realpath -m -- "$2")
  case $1 in
    --model)
      [[ -f $path ]] || die "$2: no such model file"
      [[ $path != *\;* ]] || die "$2: a semicolon in the name"  # CMake's lists are divided by them
      models+=("$path")
      ;;
    --opencv) opencv=$path ;;
    --output) output=$path ;;
  esac
}

opencv_config() {
  find "$opencv" -name OpenCVConfig.cmake -printf '%h\n' 2>/dev/null | head -n 1
}

# Whatever else a static OpenCV needs would be missing where the package goes.
check_libraries() {
  local library extra=()
  while read -r library _; do
    case $library in
      linux-vdso.so.* | /lib*/ld-linux* | libjpeg.so.* | libpng16.so.* | libz.so.* | libstdc++.so.* | libm.so.* | \
        libgcc_s.so.* | libc.so.*) ;;
      *) extra+=("$library") ;;
    esac
  done < <(ldd "$1")
  ((${#extra[@]} == 0)) || die "$1 needs ${extra[*]}: is the OpenCV in $opencv built by scripts/build_opencv.sh?"
}

# cpack's own archives hold the files in the order of the file system.
pack_archive() {
  local name
  name=$(sed -n 's/^set(CPACK_PACKAGE_FILE_NAME "\(.*\)")$/\1/p' "$dir/CPackConfig.cmake")
  quietly cmake --install "$dir" --component program --strip --prefix "$dir/packed/$name"
  tar --create --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    -C "$dir/packed" "$name" | gzip -9n >"$dir/packed/$name.tar.gz"
}

main() {
  parse_arguments "$@"
  umask 022
  install_packages "${build_packages[@]}" dpkg-dev file
  local as_owner=()
  if [[ $(id -u) != 0 ]]; then  # files in packages belong to root
    install_packages fakeroot
    as_owner=(fakeroot)
  fi
  if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct 2>/dev/null) || die "no git history: set SOURCE_DATE_EPOCH"
  fi
  export SOURCE_DATE_EPOCH
  [[ -n $(opencv_config) ]] || "$root/scripts/build_opencv.sh" --prefix "$opencv" >/dev/null

  local dir=$root/build/package
  say "Building the program in build/package/"
  configure "$dir" -DCMAKE_BUILD_TYPE=Release -DMNV2_BUILD_TESTS=OFF -DMNV2_BUILD_SHARED=OFF \
    -DMNV2_REPRODUCIBLE=ON -DCMAKE_INSTALL_PREFIX=/usr \
    -DOpenCV_DIR="$(opencv_config)" -DMNV2_INSTALL_MODELS="$(IFS=';' && echo "${models[*]}")"
  build "$dir"
  check_libraries "$dir/mnv2-classify"

  say "Packing"
  rm -rf "$dir/packed"
  mkdir -p "$dir/packed" "$output"
  (cd "$dir" && quietly "${as_owner[@]}" cpack -G DEB -B packed)
  pack_archive
  local package
  for package in "$dir"/packed/*.deb "$dir"/packed/*.tar.gz; do
    mv -- "$package" "$output/"
    echo "$output/$(basename "$package")"
  done
}

main "$@"

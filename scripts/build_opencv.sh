#!/usr/bin/env bash
# Builds a static OpenCV with nothing but what the program uses: core, imgproc, imgcodecs, JPEG and PNG.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What Debian 12 has too, so that both are the same decoder.
release=4.6.0
release_sha256=1ec1cba65f9f20fe5a41fda1586e01c70ea0c9a6d7b67c9e13edf0cfe2239277
release_url=https://github.com/opencv/opencv/archive/refs/tags/$release.tar.gz

usage() {
  cat <<EOT
Usage: scripts/build_opencv.sh [--source DIR | --apt-source | --download] [--prefix DIR]

Builds OpenCV's core, imgproc and imgcodecs as static libraries, with the system's libjpeg and libpng and no other
format, no threads and no GPU code, and installs them and their headers into DIR. A program linked to it needs libjpeg,
libpng, zlib and the C and C++ runtime, and starts in a fraction of the time. Takes minutes.

  --source DIR    a tree of OpenCV's sources, or an archive of one (.tar.gz)
  --apt-source    the source package of this Debian or Ubuntu, through a configuration of apt made for this alone: its
                  sources are the system's, its lists and cache are thrown away (the default where there is apt-get)
  --download      the archive of release $release, from \$MNV2_OPENCV_URL or
                  $release_url,
                  whose SHA-256 must be the one known here
  --prefix DIR    where to install (default: build/opencv)
  -h, --help      this text
EOT
}

parse_arguments() {
  origin='' source='' prefix=$root/build/opencv
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --source | --prefix)
        [[ -n ${2:-} ]] || usage_error "$1 needs a value"
        set_value "$1" "$2"
        shift
        ;;
      --source=?* | --prefix=?*) set_value "${1%%=*}" "${1#*=}" ;;
      --apt-source | --download) set_origin "${1#--}" ;;
      *) usage_error "unknown argument $1" ;;
    esac
    shift
  done
  if [[ -z $origin ]]; then
    origin=download
    ! command -v apt-get >/dev/null || origin='apt-source'
  fi
}

set_value() {
  if [[ $1 == --prefix ]]; then
    prefix=$(realpath -m -- "$2")
  else
    set_origin source
    source=$2
  fi
}

set_origin() {
  [[ -z $origin || $origin == "$1" ]] || usage_error "--$origin and --$1 exclude each other"
  origin=$1
}

# unpack ARCHIVE: sets tree to the one folder in it.
unpack() {
  mkdir "$work/unpacked"
  quietly tar -xf "$1" -C "$work/unpacked" --no-same-owner
  tree=$(find "$work/unpacked" -mindepth 1 -maxdepth 1)
  [[ -d $tree ]] || die "$1: expected an archive of one folder"
}

use_source() {
  [[ -e $source ]] || die "$source: no such source tree or archive"
  if [[ -d $source ]]; then
    tree=$(realpath -- "$source")
  else
    unpack "$source"
  fi
}

download() {
  local url=${MNV2_OPENCV_URL:-$release_url} archive=$work/opencv.tar.gz actual
  command -v curl >/dev/null || install_packages curl ca-certificates
  say "Downloading $url"
  curl --fail --silent --show-error --location --retry 3 --output "$archive" -- "$url" || die "$url: cannot be downloaded"
  actual=$(sha256sum <"$archive" | cut -d' ' -f1)
  [[ $actual == "$release_sha256" ]] || die "$url: SHA-256 is $actual, expected $release_sha256"
  unpack "$archive"
}

# The system's sources, for source packages: "deb" and "Types: deb" become "deb-src".
write_private_sources() {
  local sources=$1 file
  mkdir -p "$sources"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [[ -f $file ]] || continue
    sed -n 's/^[[:space:]]*deb\([[:space:]]\)/deb-src\1/p' "$file" >"$sources/$(basename "$file" .list).list"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [[ -f $file ]] || continue
    sed 's/^Types:.*/Types: deb-src/' "$file" >"$sources/$(basename "$file")"
  done
}

# Everything that apt-get would write is below $work/apt, and what the system runs after an update is left out.
write_private_apt() {
  local folder=$work/apt
  mkdir -p "$folder/state/lists/partial" "$folder/cache/archives/partial"
  : >"$folder/state/status"
  write_private_sources "$folder/sources"
  cat >"$folder/apt.conf" <<EOT
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$folder/sources";
Dir::State "$folder/state";
Dir::State::Status "$folder/state/status";
Dir::Cache "$folder/cache";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
EOT
  # As root, apt fetches as the user _apt, who has to reach these.
  chmod 755 "$work"
}

fetch_apt_source() {
  command -v apt-get >/dev/null || die "--apt-source needs apt-get; --download or --source do without"
  install_packages dpkg-dev
  write_private_apt
  local apt=(apt-get -qq -c "$work/apt/apt.conf") dsc
  mkdir "$work/package"
  cd "$work/package"
  say "Fetching the source package opencv"
  quietly "${apt[@]}" update
  # Refuses what the archive's signed index does not vouch for.
  quietly "${apt[@]}" source --download-only --only-source opencv
  dsc=$(echo opencv_*.dsc)
  quietly dpkg-source --extract "$dsc" "$work/source"
  cd - >/dev/null
  tree=$work/source
}

configure_opencv() {
  # Neither folder's name may end up in a program: error messages name source files.
  local flags="-ffile-prefix-map=$tree=opencv -ffile-prefix-map=$work/build=opencv-build -ffunction-sections -fdata-sections"
  local on=(WITH_JPEG WITH_PNG ENABLE_PIC BUILD_INFO_SKIP_SYSTEM_INFO BUILD_INFO_SKIP_TIMESTAMP
    BUILD_INFO_SKIP_EXTRA_MODULES)
  # The codecs are the system's, shared: they get the system's security updates.
  local off=(BUILD_SHARED_LIBS BUILD_JPEG BUILD_PNG BUILD_ZLIB BUILD_ITT BUILD_IPP_IW
    BUILD_TESTS BUILD_PERF_TESTS BUILD_EXAMPLES BUILD_DOCS BUILD_JAVA BUILD_PACKAGE BUILD_opencv_apps
    BUILD_opencv_python2 BUILD_opencv_python3 BUILD_opencv_python_bindings_generator BUILD_opencv_java_bindings_generator
    BUILD_opencv_js_bindings_generator BUILD_opencv_objc_bindings_generator BUILD_opencv_python_tests
    OPENCV_GENERATE_PKGCONFIG PARALLEL_ENABLE_PLUGINS CV_TRACE OPENCV_ENABLE_ALLOCATOR_STATS)
  local without=(1394 ADE AVIF CAROTENE CUDA EIGEN FFMPEG FREETYPE GDAL GDCM GPHOTO2 GSTREAMER GTK HALIDE HPX
    IMGCODEC_HDR IMGCODEC_PFM IMGCODEC_PXM IMGCODEC_SUNRASTER IPP ITT JASPER JPEGXL KLEIDICV LAPACK OBSENSOR
    OPENCL OPENCLAMDBLAS OPENCLAMDFFT OPENEXR OPENGL OPENJPEG OPENMP PROTOBUF PTHREADS_PF QT QUIRC SPNG TBB TIFF V4L
    VA VA_INTEL VTK VULKAN WEBP)
  local options=() name
  for name in "${on[@]}"; do options+=("-D$name=ON"); done
  for name in "${off[@]}"; do options+=("-D$name=OFF"); done
  for name in "${without[@]}"; do options+=("-DWITH_$name=OFF"); done
  ! command -v ccache >/dev/null || options+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  # CPU_DISPATCH: nothing between the file and the pixels has variants for newer CPUs.
  quietly cmake -S "$tree" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" \
    -DCMAKE_C_FLAGS="$flags" -DCMAKE_CXX_FLAGS="$flags" -DBUILD_LIST=core,imgproc,imgcodecs -DCPU_DISPATCH= \
    "${options[@]}"
  # The text of cv::getBuildInformation(): its folders, kernel and Python are this machine's alone.
  sed -i -e "s#$work/build#opencv-build#g" -e "s#$tree#opencv#g" -e "s#$prefix#opencv-prefix#g" \
    -e '/^"    Host: /d' -e '/^"  Python (for build): /d' "$work/build/modules/core/version_string.inc"
}

# Where OpenCVConfig.cmake is: the folder depends on the version and the system.
find_config() {
  local config
  config=$(find "$prefix" -name OpenCVConfig.cmake | head -n 1)
  [[ -n $config ]] || die "$prefix: the build installed no OpenCVConfig.cmake"
  dirname "$config"
}

main() {
  parse_arguments "$@"
  if command -v apt-get >/dev/null; then
    install_packages g++ cmake ninja-build libjpeg-dev libpng-dev zlib1g-dev
  fi
  work=$(mktemp -d "${TMPDIR:-/tmp}/mnv2-opencv.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  case $origin in
    source) use_source ;;
    download) download ;;
    apt-source) fetch_apt_source ;;
  esac
  [[ -f $tree/modules/core/include/opencv2/core/version.hpp ]] || die "$tree: not a tree of OpenCV's sources"

  say "Configuring OpenCV from $tree"
  configure_opencv
  say "Building OpenCV, which takes minutes"
  quietly cmake --build "$work/build" --parallel "$jobs"
  quietly cmake --install "$work/build"
  local config
  config=$(find_config)
  say "Installed in $prefix; to use it: cmake -S . -B build -DOpenCV_DIR=$config"
  echo "$config"
}

main "$@"

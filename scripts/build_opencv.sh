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

Builds what mnv2-classify needs of OpenCV's core, imgproc and imgcodecs as static libraries, with the system's libjpeg
and libpng and no other format, no threads and no GPU code, and installs them and their headers into DIR. A program
linked to it needs libjpeg, libpng, zlib and the C and C++ runtime, and starts in a fraction of the time. Takes minutes.

  --source DIR    a tree of OpenCV's sources, or an archive of one (.tar.gz); of a tree, the whole modules are built
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

# apt_download FILE_PATTERN: of the files of the source package, the one with this name. apt-helper refuses what has not
# the hash that the archive's signed index gives.
apt_download() {
  local uri file hash
  read -r uri file hash < <(awk -v pattern="$1" '$2 ~ pattern { print $1, $2, $4 }' "$work/uris") ||
    die "the source package opencv has no file $1"
  say "Downloading $file"
  quietly /usr/lib/apt/apt-helper "${apt[@]:1}" download-file "${uri//\'/}" "$work/package/$file" "$hash"
}

# without_contrib PATCH: what it changes outside contrib/, the modules that are not unpacked.
without_contrib() {
  awk '/^--- / { before = $0; next }
    before != "" && /^\+\+\+ / { kept = $2 !~ /^[^\/]*\/contrib\//; if (kept) print before }
    before != "" && !/^\+\+\+ / { if (kept) print before }
    { before = ""; if (kept) print }' "$1"
}

# The release and the distribution's patches, without the modules that upstream has beside them. What dpkg-source does
# more, it does for those.
fetch_apt_source() {
  command -v apt-get >/dev/null || die "--apt-source needs apt-get; --download or --source do without"
  install_packages xz-utils patch
  write_private_apt
  local apt=(apt-get -qq -c "$work/apt/apt.conf") patch
  mkdir "$work/package"
  say "Looking for the source package opencv"
  quietly "${apt[@]}" update
  "${apt[@]}" source --print-uris --only-source opencv </dev/null >"$work/uris" || die "no source package opencv"
  apt_download 'opencv_[^/]*\.orig\.tar\.'
  apt_download 'opencv_[^/]*\.debian\.tar\.'
  unpack "$work"/package/*.orig.tar.*
  quietly tar -xf "$work"/package/*.debian.tar.* -C "$tree" --no-same-owner
  while read -r patch; do
    without_contrib "$tree/debian/patches/$patch" >"$work/patch"
    [[ ! -s $work/patch ]] || quietly patch --directory="$tree" --strip=1 --force --input="$work/patch"
  done < <(sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "$tree/debian/patches/series")
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
  local without=(1394 ADE AVIF CAROTENE CUDA EIGEN FFMPEG FLATBUFFERS FREETYPE GDAL GDCM GPHOTO2 GSTREAMER GTK HALIDE HPX
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

# Sources that nothing calls on the way from a file to pixels or back: matrix algebra, files of numbers, all that looks at
# images. They are the greater part, and to compile them takes the greater part of the time.
leave_out() {
  local core=(algorithm async batch_distance bindings_utils command_line_parser conjugate_gradient convert_c
    count_non_zero.dispatch cuda_gpu_mat cuda_gpu_mat_nd cuda_host_mem cuda_info cuda_stream directx downhill_simplex dxt
    hal_internal lapack lda lpsolver matmul.dispatch matrix_decomp matrix_expressions matrix_sparse mean.dispatch ovx pca
    persistence persistence_base64_encoding persistence_json persistence_types persistence_xml persistence_yml samples
    split.dispatch stat_c types va_intel)
  local name file
  mkdir -p "$work/left-out/core" "$work/left-out/imgproc"
  for name in "${core[@]}"; do
    file=$tree/modules/core/src/$name.cpp
    [[ ! -f $file ]] || mv "$file" "$work/left-out/core/"
  done
  for file in "$tree"/modules/imgproc/src/*.cpp; do
    case $(basename "$file") in
      color*.cpp | demosaicing.cpp | main.cpp | precomp.cpp | resize.cpp | tables.cpp) ;;
      *) mv "$file" "$work/left-out/imgproc/" ;;
    esac
  done
}

put_back() {
  local module
  for module in core imgproc; do
    mv "$work/left-out/$module"/*.cpp "$tree/modules/$module/src/"
  done
}

compile() {
  configure_opencv
  quietly cmake --build "$work/build" --parallel "$jobs"
  quietly cmake --install "$work/build"
}

# Whether a program that calls what mnv2-classify calls can be linked to what was installed.
is_enough() {
  mkdir -p "$work/check"
  cat >"$work/check/CMakeLists.txt" <<'EOT'
cmake_minimum_required(VERSION 3.16)
project(check LANGUAGES CXX)
find_package(OpenCV REQUIRED COMPONENTS core imgproc imgcodecs)
add_executable(check check.cpp)
target_include_directories(check PRIVATE ${OpenCV_INCLUDE_DIRS})
target_link_libraries(check PRIVATE ${OpenCV_LIBS})
EOT
  cat >"$work/check/check.cpp" <<'EOT'
#include <opencv2/core/utility.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
int main(int, char** arguments) {
  cv::setNumThreads(1);
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  cv::Mat a(2, 3, CV_8UC3), b;
  cv::transpose(a, b);
  cv::flip(b, a, 1);
  cv::resize(a, b, cv::Size(3, 4), 0, 0, cv::INTER_AREA);
  cv::cvtColor(b, a, cv::COLOR_RGB2BGR);
  std::vector<unsigned char> file;
  const bool written = cv::imencode(".png", a, file) && cv::imwrite(arguments[1], a);
  return written && !cv::imdecode(file, cv::IMREAD_COLOR).empty() && cv::getNumThreads() == 1 &&
                 !cv::getVersionString().empty() && !cv::getBuildInformation().empty() ? 0 : 1;
}
EOT
  cmake -S "$work/check" -B "$work/check/build" -G Ninja -DOpenCV_DIR="$(find_config)" &&
    cmake --build "$work/check/build" && "$work/check/build/check" "$work/check/a.jpg"
}

build_opencv() {
  if [[ $tree != "$work"/* ]]; then  # nothing is moved about in a tree of the user's own
    compile
    return
  fi
  leave_out
  compile
  if (quietly is_enough); then return; fi
  say "This version needs more of itself than others: building all of the three modules"
  put_back
  rm -rf "$work/build"
  compile
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

  say "Building OpenCV from $tree, which takes minutes"
  build_opencv
  local config
  config=$(find_config)
  say "Installed in $prefix; to use it: cmake -S . -B build -DOpenCV_DIR=$config"
  echo "$config"
}

main "$@"

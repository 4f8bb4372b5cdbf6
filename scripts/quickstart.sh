#!/usr/bin/env bash
# From nothing to an answer: installs, builds, makes the model file, classifies.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<EOF
Usage: scripts/quickstart.sh [--checkpoint FILE | --weights NAME] [IMAGE...]

Installs what is missing (apt), builds build/mnv2-classify, makes models/mobilenet_v2.safetensors and classifies the
images, or a sample picture drawn on the spot. Results go to stdout, everything else to stderr.

The weights are, in this order: --checkpoint FILE or --weights NAME, \$MNV2_CHECKPOINT, ../shared/weights/mobilenet_v2.pth
if it is there, a model file made before, torchvision's download (IMAGENET1K_V1). Where that cannot be reached, the model
that comes with the program serves, models/figure-kinds.safetensors: it tells kinds of figures and pages.

Images are decoded by an OpenCV of three modules, which is built once, from the distribution's source package, in
build/opencv (scripts/build_opencv.sh). MNV2_OPENCV=system takes the distribution's own packages instead.

  --checkpoint FILE   a PyTorch state_dict of torchvision's mobilenet_v2
  --weights NAME      download torchvision's IMAGENET1K_V1 or IMAGENET1K_V2
  -h, --help          this text

\$PYTHON chooses an interpreter that has numpy (default: /usr/bin/python3, with python3-numpy installed when needed).
EOF
}

parse_arguments() {
  checkpoint='' weights='' by_default='' own_model='' images=()
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --checkpoint | --weights)
        [[ -n ${2:-} ]] || usage_error "$1 needs a value"
        if [[ $1 == --checkpoint ]]; then checkpoint=$2; else weights=$2; fi
        shift
        ;;
      --checkpoint=?*) checkpoint=${1#*=} ;;
      --weights=?*) weights=${1#*=} ;;
      --)
        shift
        images+=("$@")
        break
        ;;
      -*) usage_error "unknown option $1" ;;
      *) images+=("$1") ;;
    esac
    shift
  done
  [[ -z $checkpoint || -z $weights ]] || usage_error "--checkpoint and --weights exclude each other"
}

# Whether torchvision's weights can be had: asked before anything is installed for them.
can_download() {
  [[ -n ${https_proxy:-}${HTTPS_PROXY:-} ]] || timeout 10 bash -c '</dev/tcp/download.pytorch.org/443' 2>/dev/null
}

# Where the weights come from: sets checkpoint or weights, or neither when a model made before or the own one serves.
choose_weights() {
  local shared=$root/../shared/weights/mobilenet_v2.pth
  if [[ -z $checkpoint && -z $weights ]]; then
    if [[ -n ${MNV2_CHECKPOINT:-} ]]; then
      checkpoint=$MNV2_CHECKPOINT
    elif [[ -f $shared ]]; then
      checkpoint=$shared
    elif [[ ! -f $model ]]; then
      if can_download; then weights=IMAGENET1K_V1 by_default=yes; else own_model=yes; fi
    fi
  fi
  [[ -z $checkpoint || -f $checkpoint ]] || die "$checkpoint: no such checkpoint"
}

# Whether the model file comes from the chosen weights, as its own header says, and from the converter as it is now.
model_is_current() {
  [[ -f $model ]] || return 1
  local part
  for part in "$root"/scripts/convert_torchvision.py "$root"/scripts/mnv2/convert/*.py; do
    [[ $model -nt $part ]] || return 1
  done
  local wanted="torchvision MobileNet_V2_Weights.${weights#MobileNet_V2_Weights.}"
  [[ -z $checkpoint ]] || wanted=$(sha256sum <"$checkpoint" | cut -d' ' -f1)
  # The header comes first and stays below this size; metadata values are JSON strings.
  head -c 200000 "$model" | grep -aF "\"$wanted\"" >/dev/null
}

use_own_model() {
  own_model=yes
  model=$root/models/figure-kinds.safetensors
  say "torchvision's weights cannot be had: using $model, which tells kinds of figures and pages"
  say "For ImageNet's 1000 classes: scripts/quickstart.sh --checkpoint FILE, with a state_dict of torchvision's mobilenet_v2"
}

# Sets model. What nobody asked for by name may fail, after which the own model serves.
make_model() {
  if [[ -n $by_default ]]; then
    (convert_model) || use_own_model
  elif [[ -n $own_model ]]; then
    use_own_model
  else
    convert_model
  fi
}

convert_model() {
  if [[ -z $checkpoint && -z $weights ]]; then
    say "Using $model, made before"
    return
  fi
  if model_is_current; then
    say "Using $model, made from the same weights before"
    return
  fi
  local options=(--weights "$weights")
  [[ -z $checkpoint ]] || options=(--checkpoint "$checkpoint")
  need_modules numpy=python3-numpy
  say "Converting ${checkpoint:-"$weights"} to $model"
  "$python" "$root/scripts/convert_torchvision.py" "${options[@]}" --output "$model" </dev/null
}

describe_steps() {
  local build="downloads OpenCV's source (78 MB), builds what is needed of it and the program ($((1 + 6 / jobs)) minutes or so)"
  ! use_system_opencv || build="builds the program ($((1 + 3 / jobs)) minutes or so)"
  echo "installs what is missing, $build${weights:+, downloads 14 MB of weights}"
}

# All that will be installed, so that apt runs once and its cost is said once.
install_all() {
  local packages=("${build_packages[@]}")
  if [[ -z ${PYTHON:-} ]]; then
    packages+=(python3)
    [[ -z $checkpoint$weights ]] || packages+=(python3-numpy)
  fi
  [[ -z $weights ]] || packages+=(ca-certificates)
  install_packages "${packages[@]}"
}

draw_sample() {
  [[ -f $root/build/sample.png ]] || "$python" "$root/scripts/draw_sample.py" "$root/build/sample.png" </dev/null
}

main() {
  parse_arguments "$@"
  model=$root/models/mobilenet_v2.safetensors
  choose_weights
  [[ -x $root/build/mnv2-classify ]] || say "The first time this takes minutes: it $(describe_steps)"
  install_all
  choose_python
  need_opencv

  say "Building build/mnv2-classify (Release)"
  local options=(-DCMAKE_BUILD_TYPE=Release "${opencv_options[@]}")
  # A cache alone proves nothing: a configuration that failed or was stopped leaves one.
  [[ -f $root/build/build.ninja || -f $root/build/Makefile ]] || options+=(-DMNV2_BUILD_TESTS=OFF)
  configure "$root/build" "${options[@]}"
  build "$root/build" --target mnv2-classify docs  # what cmake --install and the manual in build/share need
  make_model

  draw_sample  # also where images are given: the README's examples are about this one
  if ((${#images[@]} == 0)); then
    local sample=build/sample.png
    [[ -z $own_model ]] || sample=models/samples
    images=("$root/$sample")
    [[ ! . -ef $root ]] || images=("$sample")
  fi
  say "Classifying: build/mnv2-classify ${images[*]}"
  exec "$root/build/mnv2-classify" --model "$model" -- "${images[@]}"
}

main "$@"

#!/usr/bin/env bash
# Runs the README's two commands, or another, in a clean root of Debian that has nothing but apt.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<EOT
Usage: scripts/test_fresh.sh [--shared DIR] [bookworm | trixie] [COMMAND...]

Makes a root of Debian 12 (bookworm, the default) or 13 (trixie) that holds a minimal system and apt, clones the last
commit of this repository into it, and runs there, as root and without a terminal, scripts/quickstart.sh and
scripts/test.sh, or COMMAND. Then says how long it took, how many packages were installed, and how much is on the disk.
Installs mmdebstrap and git where they are missing, and needs root itself. The root is below \$TMPDIR or /var/tmp and is
removed in the end, also when this is stopped. The packages come from where this machine's come from.

  --shared DIR   a folder with test data, to be seen read-only as ../shared
  -h, --help     this text

Exit status: that of the command; 1 when no root can be made.
EOT
}

parse_arguments() {
  suite=bookworm shared='' command=()
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --shared)
        [[ -n ${2:-} ]] || usage_error "$1 needs a value"
        shared=$2
        shift
        ;;
      --shared=?*) shared=${1#*=} ;;
      -*) usage_error "unknown option $1" ;;
      *) break ;;
    esac
    shift
  done
  if (($#)); then
    case $1 in
      bookworm | trixie) suite=$1 && shift ;;
    esac
  fi
  command=("$@")
  ((${#command[@]})) || command=(bash -c 'scripts/quickstart.sh && scripts/test.sh')
  [[ -z $shared || -d $shared ]] || die "$shared: no such folder"
}

# stoppable COMMAND...: in a process group of its own, so that all of it can be ended; bash runs no trap while it waits for
# a command in the foreground. Job control also keeps SIGINT as it is: commands in the background would ignore it.
stoppable() {
  local status=0
  set -m
  "$@" </dev/null &
  child=$!
  set +m
  wait "$child" || status=$?
  child=''
  return "$status"
}

clean_up() {
  trap '' INT TERM HUP
  if [[ -n $child ]]; then
    # mmdebstrap has mounts to undo; the processes of the root end with their namespace.
    kill -TERM -- "-$child" 2>/dev/null || true
    for ((i = 0; i < 50; ++i)); do
      [[ -n $(jobs -r) ]] || break
      sleep 0.1
    done
    kill -KILL -- "-$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  # What was killed may still be writing; the mounts were never seen from here.
  for ((i = 0; i < 50; ++i)); do
    ! rm -rf --one-file-system -- "$folder" 2>/dev/null || return 0
    sleep 0.1
  done
  rm -rf --one-file-system -- "$folder"
}

# The apt lines for $suite: where this machine's own Debian packages come from, or Debian's own place.
list_sources() {
  local own=none site release component found=''
  # shellcheck source=/dev/null
  ! (. /etc/os-release && [[ $ID == debian ]]) || own=$(. /etc/os-release && echo "${VERSION_CODENAME:-none}")
  # shellcheck disable=SC2016  # apt's own placeholders
  while read -r site release component; do
    case ${release%/} in
      "$own" | "$own-updates" | "$own-security") ;;
      *) continue ;;
    esac
    [[ $component != main ]] || found+="deb $site $suite${release#"$own"} main"$'\n'
  done < <(apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages')
  printf '%s' "${found:-"deb http://deb.debian.org/debian $suite main"$'\n'}"
}

# Options of apt that say how this machine reaches its mirror, and how old a mirror may be.
apt_options() {
  local name value
  for name in Acquire::Check-Valid-Until Acquire::Check-Date Acquire::http::Proxy Acquire::https::Proxy; do
    value=$(apt-config dump --format '%v' "$name")
    [[ -z $value ]] || printf -- '--aptopt=%s "%s"\n' "$name" "$value"
  done
}

make_root() {
  local options=()
  mapfile -t options < <(apt_options)
  list_sources >"$folder/sources"
  say "Making a clean root of $suite from:"
  sed 's/^/    /' "$folder/sources" >&2
  # No fsync for each file: nothing of this is to survive a power cut.
  stoppable mmdebstrap --mode=root --variant=minbase --format=directory --dpkgopt=force-unsafe-io "${options[@]}" \
    "$suite" "$tree" "$folder/sources"
}

# What the first process of the namespaces does: it mounts what a system has and runs the command in the clone. A session
# of its own leaves the command no terminal. $1 root, $2 clone, $3 folder to be seen as ../shared or empty, then the command.
# shellcheck disable=SC2016
enter_program='
set -eu
root=$1 clone=$2 shared=$3
shift 3
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom tty; do
  touch "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for stream in stdin:0 stdout:1 stderr:2; do ln -s "fd/${stream#*:}" "$root/dev/${stream%:*}"; done
if [ -n "$shared" ]; then
  mkdir "$root$clone/../shared"
  mount --bind "$shared" "$root$clone/../shared"
  mount -o remount,bind,ro "$root$clone/../shared"
fi
chroot "$root" setsid --wait sh -c "cd \"\$0\" && exec \"\$@\"" "$clone" "$@" || exit $?
exit 0
'

enter_root() {
  local environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root) name
  for name in http_proxy https_proxy no_proxy; do
    [[ -z ${!name:-} ]] || environment+=("$name=${!name}")
  done
  # Through pipes, so that neither output is a terminal.
  { unshare --mount --pid --fork --kill-child env -i "${environment[@]}" \
    bash -c "$enter_program" enter_root "$tree" "$clone" "$shared" "$@" 2>&1 >&3 | cat >&2; } 3>&1 | cat
}

packages() { chroot "$tree" dpkg-query -W -f='.\n' | wc -l; }

# megabytes PATH [du OPTION...]
megabytes() {
  local path=$1
  shift
  du -sm --one-file-system "$@" -- "$path" | cut -f1
}

# What apt keeps of its downloads is no cost of the program.
root_megabytes() { megabytes "$tree" --exclude="$tree/var/cache/apt/*" --exclude="$tree/var/lib/apt/lists/*"; }

main() {
  parse_arguments "$@"
  [[ $(id -u) == 0 ]] || die "a clean root can be made by root alone: sudo scripts/test_fresh.sh"
  install_packages mmdebstrap git
  child='' folder=$(mktemp -d "${TMPDIR:-/var/tmp}/mnv2-fresh.XXXXXX")
  chmod 755 "$folder"  # apt downloads as a user of its own
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  local tree=$folder/root clone=/root/mnv2-classify
  make_root || die "no root of $suite can be made"
  # Every system has these names; what looks itself up by its own, as Slurm does, fails without.
  [[ -s $tree/etc/hosts ]] || echo "127.0.0.1 localhost $(uname -n)" >"$tree/etc/hosts"
  say "Cloning $(git -c safe.directory='*' -C "$root" log -1 --format='%h, %s')"
  quietly git -c safe.directory='*' clone --quiet --no-hardlinks "$root" "$tree$clone"

  local before_packages before_mb started status=0
  before_packages=$(packages) before_mb=$(root_megabytes) started=$SECONDS
  [[ -z $shared ]] || shared=$(realpath -- "$shared")
  say "In $suite, as root: ${command[*]}"
  stoppable enter_root "${command[@]}" || status=$?
  local seconds=$((SECONDS - started))
  say "$suite: status $status after $((seconds / 60)) min $((seconds % 60)) s; $(($(packages) - before_packages)) packages" \
    "more than the $before_packages of the clean root; $(root_megabytes) MB on the disk, $before_mb of them before," \
    "$(megabytes "$tree$clone") in the clone now; $(megabytes "$tree/var/cache/apt/archives") MB of downloads kept by apt"
  return "$status"
}

main "$@"

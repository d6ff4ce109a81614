# shellcheck shell=bash
# Sourced by the scripts beside it: where tools are kept, and how a missing one gets there.
#
# Every tool lives in its own folder, named after its version, outside the clone, so that a second
# clone installs nothing. An installation happens under a lock, and its folder gets the name that
# others look for only when it is complete.

# shellcheck disable=SC2034 # used by the scripts that source this one
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)

# All messages go to standard error: standard output is for the path that a script prints.
say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

cache_dir() {
  if [ -z "${CLIMA_CACHE:-}${XDG_CACHE_HOME:-}${HOME:-}" ]; then
    die "set HOME or CLIMA_CACHE: tools need a folder to live in"
  fi
  printf '%s\n' "${CLIMA_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tweets-del-clima}"
}

# need_command COMMAND HINT: stops with the hint where a base toolchain is missing.
need_command() {
  command -v "$1" >/dev/null || die "$1 is not on the PATH: $2"
}

# need_package COMMAND PACKAGE: installs the Debian package that brings a command.
need_package() {
  if ! command -v "$1" >/dev/null; then
    install_package "$2"
    command -v "$1" >/dev/null || die "the package $2 is there, but not the command $1"
  fi
}

install_package() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "$1 is missing: install it (as root, on Debian: apt-get install $1)"
  fi
  say "installing the Debian package $1"
  # A foreign source that does not answer must not stop an installation from Debian's own.
  apt-get update -qq >&2 || say "warning: apt-get update failed in part; going on"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "$1" >&2 </dev/null ||
    die "apt-get could not install $1"
}

# install_once FOLDER FUNCTION: makes the cache folder by calling FUNCTION with its path, unless it
# is complete already. A folder left half made by an interrupted run is made anew.
install_once() {
  local target=$1 install=$2
  if [ -e "$target/.complete" ]; then
    return
  fi
  need_package flock util-linux
  mkdir -p "$(dirname "$target")"
  (
    flock 9
    if [ ! -e "$target/.complete" ]; then
      say "installing $(basename "$target") into $(dirname "$target")"
      rm -rf "$target"
      mkdir -p "$target"
      # Not in an `if` or before `||`: bash would ignore failures inside the function.
      "$install" "$target" >&2
      touch "$target/.complete"
    fi
  ) 9>"$target.lock"
}

need_go() {
  need_command go "install Go 1.24 or newer"
  # Some tools want a newer Go than ours; it is then fetched like any module. Distributions turn that off.
  export GOTOOLCHAIN=auto
}

# run_npm ARGUMENT...: npm without its chatter. By default it retries for a minute per package before it says what is wrong.
run_npm() {
  need_command npm "install Node.js 20 or newer with npm"
  npm --loglevel=error --no-audit --no-fund --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 "$@"
}

# make_venv FOLDER PIP-ARGUMENT...: a Python environment with what pip is told to install.
make_venv() {
  local target=$1
  shift
  need_python
  python3 -m venv "$target" && "$target/bin/pip" install --quiet --disable-pip-version-check "$@"
}

need_python() {
  need_package python3 python3
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    die "$(python3 --version) is too old: 3.11 or newer is needed"
  # Debian keeps what `venv` needs in a package of its own.
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_package python3-venv
}

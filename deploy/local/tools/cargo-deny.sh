#!/usr/bin/env bash
# Prints the path of cargo-deny, which checks licences, sources and duplicates; builds it first where it is
# missing (once per machine: three to six minutes on two cores).
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=0.20.2

install_cargo_deny() {
  need_command cargo "install Rust with rustup"
  cargo install --quiet --locked --root "$1" "cargo-deny@$version"
}

folder=$(cache_dir)/cargo-deny-$version
install_once "$folder" install_cargo_deny
printf '%s\n' "$folder/bin/cargo-deny"

#!/usr/bin/env bash
# Prints the path of cargo-cyclonedx, which lists what a binary is made of; builds it first where it is
# missing (once per machine: one to three minutes on two cores).
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=0.5.9

install_cargo_cyclonedx() {
  need_command cargo "install Rust with rustup"
  cargo install --quiet --locked --root "$1" "cargo-cyclonedx@$version"
}

folder=$(cache_dir)/cargo-cyclonedx-$version
install_once "$folder" install_cargo_cyclonedx
printf '%s\n' "$folder/bin/cargo-cyclonedx"

#!/usr/bin/env bash
# Prints the folder that holds ruff and yamllint; installs them first where they are missing.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

ruff=0.17.6
yamllint=1.38.0

install_linters() {
  make_venv "$1" "ruff==$ruff" "yamllint==$yamllint"
}

folder=$(cache_dir)/python-linters-ruff$ruff-yamllint$yamllint
install_once "$folder" install_linters
printf '%s\n' "$folder/bin"

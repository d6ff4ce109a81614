#!/usr/bin/env bash
# Prints the path of buf, which checks the .proto files and generates clients of them; installs it first where it is missing.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=1.75.0

install_buf() {
  run_npm install --prefix "$1" "@bufbuild/buf@$version"
}

folder=$(cache_dir)/buf-$version
install_once "$folder" install_buf
printf '%s\n' "$folder/node_modules/.bin/buf"

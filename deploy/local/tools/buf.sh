#!/usr/bin/env bash
# Prints the path of buf, which lints and formats the .proto files; installs it first where it is missing.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=1.75.0

install_buf() {
  need_command npm "install Node.js with npm"
  npm install --silent --no-audit --no-fund --prefix "$1" "@bufbuild/buf@$version"
}

folder=$(cache_dir)/buf-$version
install_once "$folder" install_buf
printf '%s\n' "$folder/node_modules/.bin/buf"

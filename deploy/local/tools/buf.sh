#!/usr/bin/env bash
# Prints the path of buf, which lints and formats the .proto files; installs it first where it is missing.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=1.75.0

install_buf() {
  need_command npm "install Node.js with npm"
  # By default npm retries for a minute per package before it says what is wrong.
  npm install --loglevel=error --no-audit --no-fund --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000 \
    --prefix "$1" "@bufbuild/buf@$version"
}

folder=$(cache_dir)/buf-$version
install_once "$folder" install_buf
printf '%s\n' "$folder/node_modules/.bin/buf"

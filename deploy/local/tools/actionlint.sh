#!/usr/bin/env bash
# Prints the path of actionlint, which checks the workflows of GitHub Actions; builds it first where it is missing.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=1.7.12

install_actionlint() {
  need_go
  GOBIN=$1/bin go install "github.com/rhysd/actionlint/cmd/actionlint@v$version"
}

folder=$(cache_dir)/actionlint-$version
install_once "$folder" install_actionlint
printf '%s\n' "$folder/bin/actionlint"

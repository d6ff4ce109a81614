#!/usr/bin/env bash
# Prints the path of Docker Compose as a program of its own, which reads and checks deploy/compose.yaml without an engine.
# Built from source where it is missing (once per machine: three to eight minutes on two cores). Apache 2.0.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=2.40.3

# Its go.mod excludes versions, which `go install` refuses, so it is built as a main module, in a copy: the module cache is
# read-only.
install_compose() {
  need_go
  local module=github.com/docker/compose/v2 source
  source=$(go mod download -json "$module@v$version" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p')
  [ -d "$source" ] || die "$module@v$version cannot be downloaded"
  cp -r "$source" "$1/source"
  chmod -R u+w "$1/source"
  (cd "$1/source" && go build -trimpath -ldflags "-s -w -X $module/internal.Version=v$version" -o "$1/bin/docker-compose" ./cmd)
  rm -rf "$1/source"
}

folder=$(cache_dir)/compose-$version
install_once "$folder" install_compose
printf '%s\n' "$folder/bin/docker-compose"

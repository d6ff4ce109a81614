#!/usr/bin/env bash
# Prints the path of grpcurl, with which anybody can speak to the gRPC ports, as the documentation does; builds it first where
# it is missing.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=1.9.3

install_grpcurl() {
  need_go
  GOBIN=$1/bin go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@v$version"
}

folder=$(cache_dir)/grpcurl-$version
install_once "$folder" install_grpcurl
printf '%s\n' "$folder/bin/grpcurl"

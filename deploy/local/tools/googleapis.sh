#!/usr/bin/env bash
# Puts the .proto files of googleapis that ours and their clients import into third_party/googleapis, where buf.yaml
# looks for them. They come out of Google's own Python wheel, so no schema registry is needed.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

version=1.76.0
files=(google/api/annotations.proto google/api/http.proto google/rpc/error_details.proto google/rpc/status.proto)

unpack() {
  need_python
  python3 -m venv "$1/venv"
  "$1/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$1" "googleapis-common-protos==$version"
  "$1/venv/bin/python" -m zipfile -e "$1"/*.whl "$1/protos"
  rm -rf "$1/venv" "$1"/*.whl
}

source=$(cache_dir)/googleapis-$version
install_once "$source" unpack
for file in "${files[@]}"; do
  if ! cmp -s "$source/protos/$file" "$root/third_party/googleapis/$file"; then
    install -D -m 644 "$source/protos/$file" "$root/third_party/googleapis/$file"
  fi
done

#!/usr/bin/env bash
# Prints the folder that holds schemathesis (`st`), which makes requests out of an OpenAPI document and judges the
# answers, and openapi-spec-validator, which judges the document; installs them first where they are missing.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

pins=$root/deploy/local/tools/schemathesis.txt

install_schemathesis() {
  make_venv "$1" --requirement "$pins"
}

need_python
made_from=$(cat "$pins" && python3 --version)
folder=$(cache_dir)/schemathesis-$(sha256sum <<<"$made_from" | cut -c 1-12)
install_once "$folder" install_schemathesis
printf '%s\n' "$folder/bin"

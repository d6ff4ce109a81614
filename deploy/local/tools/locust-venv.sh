#!/usr/bin/env bash
# Prints the path of the locust executable; makes its Python environment first where it is missing.
# The environment is named after what it is made from, so a changed pin makes a new one.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

# What pyproject.toml asks for, the tests' needs included, one requirement a line.
requirements() {
  python3 - "$root/locust/pyproject.toml" <<'PYTHON'
import sys, tomllib

with open(sys.argv[1], "rb") as file:
    pyproject = tomllib.load(file)
print(*pyproject["project"]["dependencies"], *pyproject["dependency-groups"]["test"], sep="\n")
PYTHON
}

install_locust() {
  requirements >"$1/requirements.txt"
  make_venv "$1" --requirement "$1/requirements.txt" --constraint "$root/locust/constraints.txt"
}

need_python
made_from=$(requirements && cat "$root/locust/constraints.txt" && python3 --version)
folder=$(cache_dir)/locust-$(sha256sum <<<"$made_from" | cut -c 1-12)
install_once "$folder" install_locust
printf '%s\n' "$folder/bin/locust"

#!/usr/bin/env bash
# Runs the tests of the load generator in its own Python environment. Arguments go to pytest.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

locust=$("$root/deploy/local/tools/locust-venv.sh")
cd "$root/locust"
exec "$(dirname "$locust")/python" -m pytest -p no:cacheprovider "$@"

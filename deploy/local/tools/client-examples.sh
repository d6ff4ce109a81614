#!/usr/bin/env bash
# Generates the clients, then checks and builds the examples in docs/clients. Prints the folder that holds one program for
# each: go, python, typescript.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
tools=$root/deploy/local/tools
examples=$root/docs/clients
bin=$root/target/clients/bin

build_go() {
  need_go
  cd "$examples/go"
  # The clone may be somebody else's, of which git tells Go nothing.
  export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
  go vet ./...
  go build -o "$bin/go" .
}

install_python() {
  make_venv "$1" --requirement "$examples/python/requirements.txt"
}

build_python() {
  local made_from folder
  need_python
  made_from=$(cat "$examples/python/requirements.txt" && python3 --version)
  folder=$(cache_dir)/client-example-$(sha256sum <<<"$made_from" | cut -c 1-12)
  install_once "$folder" install_python
  launcher python env PYTHONPATH="$root/target/clients/python" PYTHONDONTWRITEBYTECODE=1 \
    "$folder/bin/python" "$examples/python/clima_example.py"
}

build_typescript() {
  cd "$examples/typescript"
  # Not `npm install`: what is in the lock file, and the client as it was generated now.
  run_npm ci --prefer-offline >&2
  node_modules/.bin/tsc >&2
  launcher typescript node "$examples/typescript/dist/main.js"
}

# launcher NAME COMMAND...: an executable that starts the command with its own arguments.
launcher() {
  local file=$bin/$1
  shift
  { printf '#!/usr/bin/env bash\nexec' && printf ' %q' "$@" && printf ' "$@"\n'; } >"$file"
  chmod +x "$file"
}

"$tools/gen.sh"
mkdir -p "$bin"
for language in go python typescript; do
  ("build_$language")
done
printf '%s\n' "$bin"

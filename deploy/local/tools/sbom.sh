#!/usr/bin/env bash
# Writes what each binary is made of to target/sbom/BINARY.cdx.json, and checks it (CycloneDX 1.5).
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"

binaries=(clima-rest clima-gateway clima-writer-kafka clima-writer-rabbitmq clima-consumer-kafka
  clima-consumer-rabbitmq clima-local)
library=11.12.0

install_library() {
  make_venv "$1" "cyclonedx-python-lib[json-validation]==$library"
}

# What cargo puts into a binary, one "name version" a line. Macros that run in the compiler are among them.
packages() {
  cargo tree --locked --package "$1" --edges normal --prefix none --format '{p}' |
    sed -E 's/^([^ ]+) v([^ ]+).*/\1 \2/' | sort -u
}

need_command cargo "install Rust with rustup"
tool=$(deploy/local/tools/cargo-cyclonedx.sh)
venv=$(cache_dir)/cyclonedx-$library
install_once "$venv" install_library

out=target/sbom
rm -rf "$out"
mkdir -p "$out"
# cargo-cyclonedx writes beside each Cargo.toml, so it is given a copy.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git -c safe.directory="$root" ls-files -z -- Cargo.toml Cargo.lock '*/Cargo.toml' '*.rs' |
  xargs -0 cp --parents --target-directory="$copy"
# The same commit gives the same time.
SOURCE_DATE_EPOCH=$(git -c safe.directory="$root" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
(cd "$copy" && "$tool" cyclonedx --quiet --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps)

for binary in "${binaries[@]}"; do
  # Where the copy lay is nobody's business.
  find "$copy" -name "${binary}_bin.cdx.json" -exec sed "s|path+file://$copy/|path+file:///|g" {} \; >"$copy/raw.json"
  packages "$binary" >"$copy/packages"
  "$venv/bin/python" deploy/local/tools/sbom.py "$copy/raw.json" "$copy/packages" "$out/$binary.cdx.json"
done

#!/usr/bin/env bash
# Makes the page of the test of gRPC-web in target/grpc-web-page: bundles it with the TypeScript client, which
# client-examples.sh or gen.sh has generated before. Prints the folder that holds the packages, for `NODE_PATH`.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

page=$root/deploy/local/tests/slow/page
client=$root/target/clients/typescript
target=$root/target/grpc-web-page

install_packages() {
  cp "$page/package.json" "$page/package-lock.json" "$1"
  # Nothing here needs the scripts of a package: the binary of esbuild is a package of its own.
  run_npm ci --prefix "$1" --ignore-scripts
}

[ -d "$client" ] || die "$client is missing: make gen"
need_package chromium chromium
made_from=$(cat "$page/package-lock.json" && node --version)
folder=$(cache_dir)/grpc-web-page-$(sha256sum <<<"$made_from" | cut -c 1-12)
install_once "$folder" install_packages
packages=$folder/node_modules

mkdir -p "$target"
cp "$page/index.html" "$target"
NODE_PATH=$packages "$packages/.bin/esbuild" "$page/page.ts" --bundle --format=esm --log-level=warning \
  --alias:client="$client" --outfile="$target/page.js" >&2
printf '%s\n' "$packages"

#!/usr/bin/env bash
# Makes the page of the test of gRPC-web in target/grpc-web-page: generates the TypeScript client out of the proto
# files and bundles the page with it. Prints the folder that holds the packages, for `NODE_PATH`.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

page=$root/deploy/local/tests/slow/page
target=$root/target/grpc-web-page

install_packages() {
  cp "$page/package.json" "$page/package-lock.json" "$1"
  # Nothing here needs the scripts of a package: the binary of esbuild is a package of its own.
  npm ci --prefix "$1" --loglevel=error --ignore-scripts --no-audit --no-fund \
    --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000
}

# generate FOLDER: the client of our protos, and the messages of the error details.
generate() {
  local buf
  "$root/deploy/local/tools/googleapis.sh"
  buf=$("$root/deploy/local/tools/buf.sh")
  (
    cd "$root"
    "$buf" generate --clean --template "{
      \"version\": \"v2\",
      \"plugins\": [{
        \"local\": \"$packages/.bin/protoc-gen-es\",
        \"out\": \"$1\",
        \"opt\": \"target=ts\"
      }]
    }"
  )
}

need_command npm "install Node.js with npm"
need_package chromium chromium
made_from=$(cat "$page/package-lock.json" && node --version)
folder=$(cache_dir)/grpc-web-page-$(sha256sum <<<"$made_from" | cut -c 1-12)
install_once "$folder" install_packages
packages=$folder/node_modules

mkdir -p "$target"
generate "$target/client"
cp "$page/index.html" "$target"
NODE_PATH=$packages "$packages/.bin/esbuild" "$page/page.ts" --bundle --format=esm --log-level=warning \
  --alias:client="$target/client" --outfile="$target/page.js" >&2
printf '%s\n' "$packages"

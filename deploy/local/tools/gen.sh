#!/usr/bin/env bash
# Generates clients of the public API into target/clients, a package of its language each: go, python, typescript.
# How to use them: docs/clients.md.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
tools=deploy/local/tools

"$tools/googleapis.sh"
buf=$("$tools/buf.sh")
plugins=$("$tools/client-plugins.sh")
PATH="$plugins:$PATH" "$buf" generate

# The proto's `go_package` is "./proto": a folder, relative to what only the module can say.
cat >target/clients/go/go.mod <<'END'
module github.com/tweets-del-clima/tweets-del-clima/clients/go

go 1.24.0
END

cat >target/clients/typescript/package.json <<'END'
{
  "name": "@tweets-del-clima/client",
  "version": "0.1.0",
  "license": "MIT",
  "type": "module",
  "sideEffects": false,
  "exports": {
    "./*": { "types": "./*.d.ts", "default": "./*.js" }
  },
  "peerDependencies": {
    "@bufbuild/protobuf": "^2.9.0"
  }
}
END

say "generated target/clients/{go,python,typescript}"

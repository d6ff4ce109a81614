#!/usr/bin/env bash
# Prints the folders, as an entry of PATH, of the plugins that buf.gen.yaml names; installs them first where they are
# missing. The versions go with those that the examples in docs/clients lock: generated code wants a library that is
# not older than its generator.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

go_messages=1.36.11
go_grpc=1.6.1
es_version=2.9.0
grpcio_tools=1.85.1
grpcio=1.85.3
protobuf=7.36.2

install_go_plugins() {
  need_go
  GOBIN=$1 go install "google.golang.org/protobuf/cmd/protoc-gen-go@v$go_messages"
  GOBIN=$1 go install "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v$go_grpc"
}

install_es_plugin() {
  run_npm install --prefix "$1" "@bufbuild/protoc-gen-es@$es_version" "@bufbuild/protobuf@$es_version"
}

install_python_plugin() {
  make_venv "$1" "grpcio-tools==$grpcio_tools" "grpcio==$grpcio" "protobuf==$protobuf"
}

cache=$(cache_dir)
go=$cache/client-plugins-go$go_messages-grpc$go_grpc
es=$cache/client-plugins-es$es_version
python=$cache/client-plugins-python$grpcio_tools-protobuf$protobuf
install_once "$go" install_go_plugins
install_once "$es" install_es_plugin
install_once "$python" install_python_plugin
printf '%s\n' "$go:$es/node_modules/.bin:$python/bin"

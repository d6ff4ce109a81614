#!/usr/bin/env bash
# Every check that does not run the system. All of them run, whatever fails, and failures are summed up at
# the end. `lint.sh NAME...` runs only the steps named: fmt clippy deny layers proto shell yaml python go
# docker, and clients, which generates, checks and builds the examples of docs/clients and is left to `make test-all`.
set -euo pipefail
# shellcheck source=deploy/local/tools/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
tools=deploy/local/tools

# As root in a container, the clone may be somebody else's, which git refuses unless told otherwise.
git() { command git -c safe.directory="$root" "$@"; }

# The files that git knows or would add, NUL-separated.
files() {
  git ls-files -z --cached --others --exclude-standard --deduplicate -- "$@" |
    while IFS= read -r -d '' file; do
      if [ -f "$file" ]; then printf '%s\0' "$file"; fi
    done
}

# Shell scripts are those whose name or first line says so.
shell_scripts() {
  files |
    while IFS= read -r -d '' file; do
      case ${file##*/} in
        *.sh) printf '%s\0' "$file" ;;
        *.*) ;;
        *) if head -n 1 "$file" | grep -qaE '^#!.*\b(ba|da)?sh\b'; then printf '%s\0' "$file"; fi ;;
      esac
    done
}

lint_fmt() { cargo fmt --all --check; }

lint_clippy() { cargo clippy --workspace --all-targets --all-features --locked -- -D warnings; }

# Advisories need the advisory database, which is a git repository and not reachable everywhere.
lint_deny() {
  local deny
  deny=$("$tools/cargo-deny.sh")
  "$deny" --locked check --hide-inclusion-graph bans licenses sources
  if timeout 60 "$deny" --locked fetch db >/dev/null 2>&1; then
    "$deny" --locked check --disable-fetch advisories
  else
    echo "advisories: NOT checked, the advisory database cannot be reached from here"
  fi
}

# No process carries the client of a broker that it does not talk to.
lint_layers() {
  local binary client
  while read -r binary client; do
    if cargo tree --locked --package "$binary" --edges normal --prefix none | grep -q "^$client v"; then
      echo "$binary must not depend on $client"
      return 1
    fi
  done <<'END'
clima-rest rdkafka
clima-rest lapin
clima-gateway rdkafka
clima-gateway lapin
clima-writer-kafka lapin
clima-writer-rabbitmq rdkafka
clima-consumer-kafka lapin
clima-consumer-rabbitmq rdkafka
END
}

lint_proto() {
  local buf
  "$tools/googleapis.sh"
  buf=$("$tools/buf.sh")
  "$buf" lint
  "$buf" format proto --diff --exit-code
  check_breaking "$buf"
}

# The revision whose clients must still work, or nothing where git knows none:
#  - $CLIMA_BASE, where it is set;
#  - on a branch, the commit where it left origin/main;
#  - on main itself, and where nothing is known of origin/main, the last tag before HEAD, or else the commit before HEAD.
proto_base() {
  local main head tag
  if [ -n "${CLIMA_BASE:-}" ]; then
    git rev-parse --verify --quiet "$CLIMA_BASE^{commit}" || die "CLIMA_BASE=$CLIMA_BASE is no commit here"
    return
  fi
  head=$(git rev-parse --verify --quiet HEAD 2>/dev/null) || return 0
  main=$(git merge-base HEAD refs/remotes/origin/main 2>/dev/null) || main=$head
  if [ "$main" != "$head" ]; then
    printf '%s\n' "$main"
  elif tag=$(git describe --tags --abbrev=0 'HEAD^' 2>/dev/null); then
    git rev-parse --verify "$tag^{commit}"
  else
    git rev-parse --verify --quiet 'HEAD^' || return 0
  fi
}

# No change takes from clients what they use, judged by the rules in buf.yaml.
check_breaking() {
  local buf=$1 base against
  base=$(proto_base)
  if [ -z "$base" ]; then
    echo "breaking: NOT checked, git knows no earlier revision (a shallow clone? CLIMA_BASE names one)"
    return
  fi
  if [[ $(git ls-tree -r --name-only "$base" -- proto) != *.proto* ]]; then
    echo "breaking: NOT checked, ${base:0:12} has no protos"
    return
  fi
  against=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$against'" EXIT
  # A copy, and not git's own history: buf would ask a git that refuses somebody else's clone.
  git archive "$base" proto | tar -x -C "$against"
  cp -r buf.yaml third_party "$against"
  "$buf" breaking --against "$against"
  echo "breaking: nothing, compared with ${base:0:12}"
}

lint_go() {
  local unformatted
  need_go
  unformatted=$(files '*.go' | xargs -0 -r gofmt -l)
  if [ -n "$unformatted" ]; then
    printf 'not as gofmt writes it: %s\n' "$unformatted"
    return 1
  fi
}

lint_clients() { "$tools/client-examples.sh" >/dev/null; }

lint_shell() {
  need_package shellcheck shellcheck
  shell_scripts | xargs -0 -r shellcheck --external-sources
}

lint_yaml() {
  local bin
  bin=$("$tools/python-linters.sh")
  files '*.yaml' '*.yml' | xargs -0 -r "$bin/yamllint" --strict
  files '.github/workflows/*.yml' | xargs -0 -r "$("$tools/actionlint.sh")"
}

lint_python() {
  local bin
  bin=$("$tools/python-linters.sh")
  files '*.py' | xargs -0 -r "$bin/ruff" check --quiet
  files '*.py' | xargs -0 -r "$bin/ruff" format --quiet --diff
}

# The Dockerfiles, and compose.yaml as Docker Compose itself reads it. Its default passwords are for loopback.
lint_docker() {
  local hadolint compose
  hadolint=$("$tools/hadolint.sh")
  files '*Dockerfile' | xargs -0 -r "$hadolint"
  compose=$("$tools/compose.sh")
  need_python
  "$compose" --env-file /dev/null -f deploy/compose.yaml config --format json | python3 -c '
import json, sys
for name, service in json.load(sys.stdin)["services"].items():
    for port in service.get("ports", []):
        if port.get("host_ip") != "127.0.0.1":
            sys.exit(f"compose.yaml publishes a port of {name} beyond loopback")
'
}

if [ $# = 0 ]; then
  set -- fmt clippy deny layers proto shell yaml python go docker
fi

failed=()
for step in "$@"; do
  declare -F "lint_$step" >/dev/null || die "there is no step '$step'"
  echo "== $step"
  started=$SECONDS
  # In a process of its own, where the first failing command ends the step: inside an `if` it would not.
  set +e
  (
    set -e
    "lint_$step"
  )
  status=$?
  set -e
  if [ "$status" = 0 ]; then
    echo "== $step: ok, $((SECONDS - started)) s"
  else
    echo "== $step: FAILED, $((SECONDS - started)) s"
    failed+=("$step")
  fi
done

if [ ${#failed[@]} -gt 0 ]; then
  echo "lint: ${#failed[@]} of $# steps failed: ${failed[*]}"
  exit 1
fi
echo "lint: all $# steps passed in $SECONDS s"

# The few verbs of the project. What they do is in the scripts and binaries that they call.

.PHONY: help demo up down test test-rust test-locust test-all test-slow lint gen docs pictures sbom bench chaos chaos-broken recovery overload
.DEFAULT_GOAL := help

KILLS ?= 100
SEED ?= 1
RELEASE := cargo build --release --locked --bins --workspace

help: ## this list
	@grep -hE '^[a-z-]+:.* ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.* ## /\1\t/' | expand -t 14

demo: ## start the whole system on this machine, load it with Locust, show that every tweet was counted once
	$(RELEASE)
	target/release/clima-local demo

up: ## start the whole system on this machine and leave it running
	$(RELEASE)
	target/release/clima-local up

down: ## stop what `make up` started
	$(RELEASE)
	target/release/clima-local down

bench: ## measure throughput, latency and CPU per tweet
	$(RELEASE)
	target/release/clima-local bench

test: test-rust test-locust ## all tests; those of the whole system start real brokers

test-rust:
	cargo build --workspace --bins --locked
	cargo test --workspace --locked --no-fail-fast

test-locust:
	deploy/local/tools/locust-test.sh

test-all: test-slow chaos-broken ## the slow tests: clients in three languages, a browser, requests made out of the OpenAPI document; chaos-broken

test-slow:
	cargo build --workspace --bins --locked
	cargo test -p clima-local --features slow --test slow --locked

gen: ## clients of the public API in Go, Python and TypeScript, into target/clients
	deploy/local/tools/gen.sh

docs: ## write the generated parts of docs/ anew; `make test` only compares them
	cargo build --workspace --bins --locked
	UPDATE=1 cargo test --locked --package clima-local --test docs
	UPDATE=1 cargo test --locked --package clima-local --test it the_documented_metrics

sbom: ## what each binary is made of, to target/sbom (CycloneDX)
	deploy/local/tools/sbom.sh

chaos: ## kill parts of a system under load, and prove that every tweet was counted once: make chaos KILLS=100 SEED=1
	$(RELEASE)
	target/release/clima-local chaos --kills $(KILLS) --seed $(SEED)

chaos-broken: ## break the services on purpose, one mistake after the other: chaos must find each, and nothing without it
	cargo build --workspace --bins --locked
	cargo build -p clima-local --example clima-broken --features sabotage --locked
	cargo test -p clima-local --features slow --test broken --locked

recovery: ## kill one part at a time of a system at rest, and measure how soon tweets flow again
	$(RELEASE)
	target/release/clima-local recovery

overload: ## offer a system ten times what it can carry, and check what it accepts, refuses and costs
	$(RELEASE)
	target/release/clima-local overload

lint: ## every check that does not run the system: format, clippy, licences, proto, shell, YAML, Python, Go, containers
	deploy/local/tools/lint.sh

pictures: ## draw the pictures of the documentation from docs/images/*.dot
	deploy/local/tools/pictures.sh

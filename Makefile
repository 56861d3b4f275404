# `make` alone lists what there is. Each target installs what it needs and lacks (scripts/setup.sh), so each works by
# itself on a fresh Debian 12 with Rust.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One target directory for all packages of the tree, so that they share what they build.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
TOOLS := $(CARGO_TARGET_DIR)/tools
export PATH := $(TOOLS)/bin:$(TOOLS)/venv/bin:$(TOOLS)/node/node_modules/.bin:$(PATH)

FUZZ_SECONDS ?= 10
DESTDIR ?=
PREFIX ?= /usr/local

# The daemon's own package, and those beside it.
SIDE_MANIFESTS := $(wildcard codegen/Cargo.toml fuzz/Cargo.toml benches/tonic-peer/Cargo.toml)

.PHONY: help demo test check fuzz bench install clean

help: ## list the targets
	@echo "make demo   is the first thing to try, make test and make check what to run before a commit."
	@echo
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
	    printf '  make %-8s %s\n' "$$name" "$$text"; done
	@echo
	@echo "Variables: CARGO_TARGET_DIR=$(CARGO_TARGET_DIR) FUZZ_SECONDS=$(FUZZ_SECONDS) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)"

demo: ## run the daemon and drive it: a cell with a limit, a process in it (as root)
	@scripts/setup.sh demo
	@scripts/demo.sh

test: ## all tests, with real gRPC clients, on this machine (as root, or some skip) and on two kernels in guests
	@scripts/setup.sh test
	# All of it, so that one run tells everything that is wrong.
	cargo test --locked --no-fail-fast
	$(if $(wildcard codegen/Cargo.toml),cargo test --locked --manifest-path codegen/Cargo.toml)
	scripts/guest.sh suite

check: ## format, lints, generated code, layers, dependencies, .proto style
	@scripts/setup.sh check
	cargo fmt --check
	for manifest in $(SIDE_MANIFESTS); do cargo fmt --check --manifest-path "$$manifest"; done
	# Twice: the calls that clippy.toml bans are banned from the programs, and tests may make them.
	cargo clippy --locked --lib --bins -- -D warnings
	cargo clippy --locked --all-targets -- -D warnings -A clippy::disallowed_methods
	# All targets are all that a plain `cargo test` runs, which this is not.
	cargo clippy --locked --test guest -- -D warnings -A clippy::disallowed_methods
	for manifest in $(SIDE_MANIFESTS); do \
	    cargo clippy --locked --manifest-path "$$manifest" --all-targets -- -D warnings -A clippy::disallowed_methods; done
	cargo run --locked --quiet --manifest-path codegen/Cargo.toml -- --check
	cargo test --locked --quiet --test layers
	scripts/check-tree.sh
	# All platforms of the lock file, so that cargo-deny finds each crate without the network.
	cargo fetch --locked --quiet
	cargo deny --locked --offline check bans licenses sources
	# Only with a database that is there already: this must not fail where the network ends at the package registry.
	if compgen -G "$${CARGO_HOME:-$$HOME/.cargo}/advisory-db*/*" >/dev/null; then \
	    cargo deny --locked --offline check advisories; \
	else \
	    echo "note: advisories are not checked, there is no database here; to fetch and check: cargo deny check advisories"; \
	fi
	buf lint proto

fuzz: ## build the fuzz targets, replay the corpus, fuzz each for FUZZ_SECONDS
	@scripts/setup.sh fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh

bench: ## what calls and cells cost, beside a tonic server, a bare exec and crun, in the same minute (as root)
	@scripts/setup.sh bench
	@benches/run.py
	cargo bench --locked --bench cells

install: ## build the release and put both programs into DESTDIR/PREFIX/bin
	cargo build --locked --release -p auraed
	install -D -m 0755 -t "$(DESTDIR)$(PREFIX)/bin" "$(CARGO_TARGET_DIR)/release/auraed" "$(CARGO_TARGET_DIR)/release/aer"

clean: ## remove all that was built or installed under the target directory
	cargo clean

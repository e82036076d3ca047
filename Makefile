# `make help` lists the targets. Everything works on a fresh machine with Rust 1.95 or newer and a C compiler.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Always the same package set: cargo unifies features per set, and another one would rebuild DataFusion for a minute.
PACKAGES := -p sluice-core -p sluice-sql -p sluice-crds -p sluice-runtime
CARGO := cargo --locked

.PHONY: help run build test lint tidy bench release clean-run check-tools

help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[36m%-12s\033[0m %s\n", $$1, $$2}'

check-tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer (https://rustup.rs)"; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing (zstd and ring need one): install gcc or clang"; exit 1; }

build: check-tools ## Build `sluice` at full speed of rows, in the short build profile
	@echo "building (the first time takes a few minutes)…" >&2
	@cargo build --locked --quiet --profile quick $(PACKAGES)

run: build ## Run examples/flights: event time, four statements, files and terminal; state in .sluice/
	@rm -rf examples/flights/out .sluice/state
	@$(TARGET)/quick/sluice run examples/flights/job.yaml --state .sluice/state
	@echo "output is in examples/flights/out/: $$(ls examples/flights/out | tr '\n' ' ')"

test: check-tools ## Everything that this machine can run
	$(CARGO) test --workspace $(TEST_ARGS)

lint: check-tools ## Formatting and clippy
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

bench: check-tools ## Benchmarks, each a ratio within one run (BENCH=name for one)
	$(CARGO) run --quiet --profile rel -p sluice-bench -- $(BENCH)

release: check-tools ## The optimised binary for images
	$(CARGO) build --profile rel -p sluice-runtime

clean-run: ## Remove the example's output and state
	rm -rf .sluice examples/flights/out

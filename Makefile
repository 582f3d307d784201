# Every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run demo-long parity test lint bench bench-loader ci

CUDA ?= 0
WORKER := target/release/albef-worker

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install libtorch, linters and test data into this folder (CUDA=1 for GPUs)
	@CUDA=$(CUDA) scripts/setup.sh

run: setup ## build a corpus of drawings, train a small model on it for about ten minutes, print retrieval figures
	scripts/demo.sh demo

demo-long: setup ## the same for about an hour
	scripts/demo.sh demo-long

parity: setup ## check this build against numbers of the published implementation
	cargo build --release --locked -p albef-worker
	for case in small1 small2 retrieval; do $(WORKER) parity worker/model/tests/fixtures/$$case; done

test: setup ## run all tests
	cargo test --locked --workspace

lint: setup ## formatting, clippy, dependencies, and the project's own rules
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet
	PATH="$(CURDIR)/.tools/bin:$$PATH" cargo deny --locked check bans licenses sources
	scripts/check-rules.sh

bench: setup ## measure text, rules, augmentation, operators and training steps (base and small, fp32 and bf16, two threads)
	cargo bench --locked -p albef-corpus -p torch-ext --bench text --bench rules --bench augment --bench operators
	cargo build --release --locked -p albef-worker
	for dtype in fp32 bf16; do \
	  $(WORKER) bench --config albef-base --batch 4 --dtype $$dtype --threads 2 --steps 5; \
	  $(WORKER) bench --config small --batch 16 --dtype $$dtype --threads 2 --steps 10; \
	done

bench-loader: setup ## compare the loader with a PyTorch DataLoader, one core each, on a folder of photos (PHOTOS=DIR)
	scripts/bench-loader.sh "$(PHOTOS)"

ci: ## what continuous integration runs: lint, then test
	$(MAKE) lint
	$(MAKE) test

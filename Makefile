# Carepost. `make` alone tells what there is to do.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run demo test clients lint lint-k8s lint-alerts images-test format docs bench services-up services-down services-status

# Where cargo builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# The tools of `make lint` that are not of Rust; tests/lint/package.json and requirements.txt pin them.
LINT := $(TARGET)/lint
TESTKIT := $(TARGET)/debug/carepost-testkit

help: ## Show this.
	@echo "Carepost: secure messages between care teams and portal users."
	@echo
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'

# Both use a debug build: it is there in half the time of a release build, `make test` uses the same, and it starts in well
# under a second. The data is in target/run, until `cargo clean`.
run: ## Start the whole suite on this machine, with a hospital's directory, until Ctrl-C. Needs nothing but Rust.
	cargo build --package carepost --bin carepost
	@exec $(TARGET)/debug/carepost run --data $(TARGET)/run --import tests/data/prairie.directory.json

demo: ## Tell the whole story on a suite of its own, each step checked; leaves the emails in target/demo/mail.
	cargo build --package carepost --bin carepost
	@exec $(TARGET)/debug/carepost demo --data $(TARGET)/demo

test: clients ## Run every test, on a PostgreSQL and a RabbitMQ of its own (installed if missing, stopped afterwards).
	cargo test --workspace --no-run
	trap '$(TESTKIT) down' EXIT; $(TESTKIT) up; cargo test --workspace --no-fail-fast

# What a test calls the suite with as the README shows it: buf, and Python with its environments.
clients: $(LINT)/.installed
	python3 -c 'import ensurepip, venv' 2>/dev/null || { apt-get update && apt-get install --yes --no-install-recommends python3-venv; }

lint: $(LINT)/.installed lint-k8s lint-alerts ## Check format, lints, documentation, protos, links, manifests and alerts.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet
	cd proto && $(abspath $(LINT))/node_modules/.bin/buf lint
	cd proto && $(abspath $(LINT))/node_modules/.bin/buf format --diff --exit-code
	$(LINT)/node_modules/.bin/remark --frail --quiet --no-stdout \
		--use $(abspath $(LINT))/node_modules/remark-validate-links/index.js=repository:false README.md docs

lint-k8s: $(LINT)/.installed-python ## Build what Kubernetes is given, and check it.
	tests/lint/k8s $(LINT)

# promtool is of Debian's prometheus; its server is not started by this.
lint-alerts:
	command -v promtool >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends prometheus; }
	promtool check rules k8s/observability/alerts.yaml
	promtool test rules k8s/observability/alerts_test.yaml

images-test: ## Build the images and run them, with buildah and podman (PROFILE=dev is sooner done). Not part of CI.
	tests/images/run

format: $(LINT)/.installed ## Format code and protos.
	cargo fmt --all
	cd proto && $(abspath $(LINT))/node_modules/.bin/buf format --write

docs: ## Write the pages that are made from the code, and the reference of the API, target/docs/api.html.
	mkdir -p $(TARGET)/docs
	cargo run --quiet --package carepost-suite --bin pages -- errors > $(TARGET)/docs/errors.md
	mv $(TARGET)/docs/errors.md docs/errors.md
	cargo run --quiet --package carepost-suite --bin pages -- configuration > $(TARGET)/docs/configuration.md
	mv $(TARGET)/docs/configuration.md docs/configuration.md
	cargo run --quiet --package carepost-suite --bin pages -- api > $(TARGET)/docs/api.html

bench: ## Measure a reply through the whole path beside the raw limits of this machine (PART=overload and others: docs/benchmarks.md).
	cargo build --release --package carepost-bench --package carepost-suite --bin carepost-bench --bin suite-service
	cargo build --package carepost-testkit --bin carepost-testkit
	trap '$(TESTKIT) down --name bench' EXIT; $(TESTKIT) up --name bench; $(TARGET)/release/carepost-bench $(PART)

services-up: ## Start the PostgreSQL and RabbitMQ of the tests, for work in between.
	cargo run --quiet --package carepost-testkit -- up

services-down: ## Stop them and remove their data.
	cargo run --quiet --package carepost-testkit -- down

services-status: ## Show where they are.
	cargo run --quiet --package carepost-testkit -- status

$(LINT)/.installed: tests/lint/package.json
	command -v npm >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends nodejs npm; }
	mkdir -p $(LINT)
	cp tests/lint/package.json $(LINT)/
	npm install --prefix $(LINT) --no-package-lock --no-audit --no-fund --loglevel error
	touch $@

$(LINT)/.installed-python: tests/lint/requirements.txt
	python3 -c 'import ensurepip, venv' 2>/dev/null || { apt-get update && apt-get install --yes --no-install-recommends python3-venv; }
	python3 -m venv $(LINT)/python
	$(LINT)/python/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

# Everything that is done here, by one word each; `make` lists them. What a task needs beyond Rust, Go and a C
# compiler it builds into .cache/bin, once, and again only when its sources have changed.
#
# With KASTELLAN_TEST_KUBECONFIG (a kubeconfig) or KUBEBUILDER_ASSETS (a directory with etcd and kube-apiserver) set,
# the tests use that API server, and none is built.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := $(CURDIR)/.cache/bin
TESTENV := $(BIN)/testenv
KUBECTL := $(BIN)/kubectl
HELM := $(BIN)/helm

# Those of tests/testenv/go.mod and tools/helm/go.mod.
KUBERNETES_VERSION := 1.36.3
HELM_VERSION := 4.2.4

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY_ROOT := $(CURDIR)/.cache/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_DENY := $(CARGO_DENY_ROOT)/bin/cargo-deny

# $(call go-build,NAME,DIRECTORY,LINKER FLAGS,PACKAGE): the same bytes from the same sources, wherever it is built.
go-build = @CGO_ENABLED=0 scripts/go-build '$(1)' $(2) $(4) -trimpath -buildvcs=false -ldflags '-s -w $(3)' -o $@
# What `kubectl version` and the server's /version say.
COMPONENT_VERSION := k8s.io/component-base/version
KUBERNETES_STAMP := -X $(COMPONENT_VERSION).gitVersion=v$(KUBERNETES_VERSION) \
	-X $(COMPONENT_VERSION).gitMajor=$(word 1,$(subst ., ,$(KUBERNETES_VERSION))) \
	-X $(COMPONENT_VERSION).gitMinor=$(word 2,$(subst ., ,$(KUBERNETES_VERSION)))

ifeq ($(KASTELLAN_TEST_KUBECONFIG)$(KUBEBUILDER_ASSETS),)
TEST_TOOLS := $(TESTENV) $(KUBECTL) $(HELM)
export KASTELLAN_TESTENV := $(TESTENV)
else
TEST_TOOLS := $(HELM)
endif
export KASTELLAN_HELM := $(HELM)

.PHONY: help
help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: prerequisites
prerequisites: ## Say what is missing on this machine
	@scripts/check-prerequisites

.PHONY: demo
demo: prerequisites $(TESTENV) $(KUBECTL) ## See it work: an API server, a ZITADEL that fits in a test, the operator, a tenant (KEEP=1 stays up)
	@scripts/demo

.PHONY: test
test: prerequisites $(TEST_TOOLS) ## Run the tests, against a real API server
	cargo test --workspace

# Optimized, since that is six times faster; the build takes 6 to 9 minutes the first time. Ten thousand cases of a law of the
# engine then take about 2 minutes of a core, of a law of folders 9 to 14: all eight laws about 25 minutes on two idle cores.
CASES ?= 10000
.PHONY: test-long
test-long: ## Try every law ten thousand times for each kind
	PROPTEST_CASES=$(CASES) cargo test --profile long --package kastellan --test it laws::

.PHONY: faults
faults: ## Try every fault with every kind in everything that is done
	FAULTS=all cargo test --profile long --package kastellan --test it matrix:: -- --ignored

.PHONY: bench
bench: prerequisites $(TESTENV) ## Count and time what the operator does: an hour and a half, or less (BENCH='--objects 1000 --rest-seconds 60')
	cargo build --release --package kastellan --package kastellan-bench --bins
	cargo run --release --package kastellan-bench -- run --out .cache/bench $(BENCH)

.PHONY: bench-plot
bench-plot: ## Draw the results of `make bench` into docs/bench
	cargo run --release --package kastellan-bench -- plot .cache/bench/results.json --out docs/bench

.PHONY: lint
lint: ## Check format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --package kastellan --features demo --all-targets -- -D warnings
	@unformatted=$$(gofmt -l tests/testenv); [[ -z $$unformatted ]] || { echo "gofmt -w $$unformatted"; exit 1; }

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all
	gofmt -w tests/testenv

.PHONY: doc
doc: ## Build the documentation of the code
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace

.PHONY: generate
generate: ## Rewrite the generated files: CRDs, reference, tables
	UPDATE=1 cargo test generated
	rm -f charts/kastellan/files/crds/*
	cp crds/*.yaml charts/kastellan/files/crds/

.PHONY: deny
deny: $(CARGO_DENY) ## Check licences, banned crates and sources
	$(CARGO_DENY) --locked --all-features check licenses bans sources

.PHONY: chart
chart: $(HELM) ## Check the Helm chart and package it
	@diff -r crds charts/kastellan/files/crds || { echo "The chart's CRDs are not those in crds/: run \`make generate\`." >&2; exit 1; }
	$(HELM) lint --strict charts/kastellan
	$(HELM) package charts/kastellan --destination .cache/charts

.PHONY: tools
tools: prerequisites $(TESTENV) $(KUBECTL) $(HELM) $(CARGO_DENY) ## Build the API server, kubectl, helm and cargo-deny into .cache/bin

.PHONY: clean
clean: ## Remove what was built
	rm -rf .cache
	cargo clean

$(TESTENV): tests/testenv/go.mod tests/testenv/go.sum tests/testenv/main.go
	@echo "Building the API server of the tests: about 7 minutes on two idle cores the first time, much longer on busy ones, seconds from then on." >&2
	$(call go-build,API server,tests/testenv,$(KUBERNETES_STAMP),.)

$(KUBECTL): $(TESTENV)
	ln -sf testenv $@

$(HELM): tools/helm/go.mod tools/helm/go.sum
	@echo "Building helm $(HELM_VERSION): about 2 minutes on two idle cores the first time." >&2
	$(call go-build,helm,tools/helm,-X helm.sh/helm/v4/internal/version.version=v$(HELM_VERSION),helm.sh/helm/v4/cmd/helm)

# How fast it runs does not matter, how fast it builds does.
$(CARGO_DENY):
	@echo "Building cargo-deny $(CARGO_DENY_VERSION): about 2 minutes." >&2
	CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		CARGO_TARGET_DIR=$(CARGO_DENY_ROOT)/target \
		cargo install --locked --version $(CARGO_DENY_VERSION) --root $(CARGO_DENY_ROOT) cargo-deny
	rm -rf $(CARGO_DENY_ROOT)/target

# What is missing is said before a build that takes minutes.
$(TESTENV) $(HELM) $(CARGO_DENY): | prerequisites

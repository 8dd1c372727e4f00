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

# kustomize-controller, and the CRDs that it needs.
FLUX := $(BIN)/flux
FLUX_CONTROLLER := $(FLUX)/kustomize-controller

# Those of tests/testenv/go.mod and tools/helm/go.mod.
KUBERNETES_VERSION := 1.36.3
HELM_VERSION := 4.2.4

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY_ROOT := $(CURDIR)/.cache/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_DENY := $(CARGO_DENY_ROOT)/bin/cargo-deny

CARGO_CYCLONEDX_VERSION := 0.5.9
CARGO_CYCLONEDX_ROOT := $(CURDIR)/.cache/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)
CARGO_CYCLONEDX := $(CARGO_CYCLONEDX_ROOT)/bin/cargo-cyclonedx

CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ_ROOT := $(CURDIR)/.cache/cargo-fuzz-$(CARGO_FUZZ_VERSION)
CARGO_FUZZ := $(CARGO_FUZZ_ROOT)/bin/cargo-fuzz

MDBOOK_VERSION := 0.5.4
MDBOOK_ROOT := $(CURDIR)/.cache/mdbook-$(MDBOOK_VERSION)
MDBOOK := $(MDBOOK_ROOT)/bin/mdbook

# The OpenTelemetry Collector.
COLLECTOR := $(BIN)/collector

ACTIONLINT := $(BIN)/actionlint
PROMTOOL := $(BIN)/promtool
# The server, of the distribution.
PROMETHEUS ?= prometheus

# $(call go-build,NAME,DIRECTORY,LINKER FLAGS,PACKAGE,OPTIONS): the same bytes from the same sources, wherever it is built.
go-build = @CGO_ENABLED=0 scripts/go-build '$(1)' $(2) $(4) $(5) -trimpath -buildvcs=false -ldflags '-s -w $(3)' -o $@
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

# A history of a thousand kills; each failure prints a seed that repeats it.
KILLS ?= 1000
.PHONY: crash-long
crash-long: $(TEST_TOOLS) ## Kill the operator a thousand times while people and ZITADEL do what they do: about an hour
	KASTELLAN_CRASH_KILLS=$(KILLS) cargo test --profile long --package kastellan --test it crash::whatever -- --nocapture

MINUTES ?= 60
.PHONY: soak
soak: $(TEST_TOOLS) ## Watch what a process keeps through an hour of changes and faults (MINUTES=10)
	KASTELLAN_SOAK_MINUTES=$(MINUTES) cargo test --profile long --package kastellan --test it crash::soak:: -- --ignored --nocapture

ROUNDS ?= 4
.PHONY: latency
latency: $(TEST_TOOLS) ## Measure how long changes by others last, of every kind: about 3 minutes (ROUNDS=4)
	KASTELLAN_LATENCY_ROUNDS=$(ROUNDS) cargo test --package kastellan --test it crash::latency:: -- --ignored --nocapture

TAKEOVERS ?= 200
.PHONY: takeover-long
takeover-long: prerequisites $(TEST_TOOLS) ## Have two operators take over from each other 200 times: about half an hour
	KASTELLAN_TAKEOVERS=$(TAKEOVERS) cargo test --package kastellan --test it -- --nocapture operator::takeover

.PHONY: faults
faults: ## Try every fault with every kind in everything that is done
	FAULTS=all cargo test --profile long --package kastellan --test it matrix::

.PHONY: bench
bench: prerequisites $(TESTENV) ## Count and time what the operator does: an hour and a half, or less (BENCH='--objects 1000 --rest-seconds 60')
	cargo build --release --package kastellan --package kastellan-bench --bins
	cargo run --release --package kastellan-bench -- run --out .cache/bench $(BENCH)

.PHONY: bench-plot
bench-plot: ## Draw the results of `make bench` into docs/bench
	cargo run --release --package kastellan-bench -- plot .cache/bench/results.json --out docs/bench

FUZZ_TARGETS ?= manifests objects answers events keys terraform templates
FUZZ_SECONDS ?= 600
# Without a sanitizer it works with the toolchain that is pinned; there is no unsafe code that one could judge.
.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Give libFuzzer what reads what others wrote, for FUZZ_SECONDS a target (FUZZ_TARGETS="answers events")
	KASTELLAN_FUZZ_CORPUS=$(CURDIR)/fuzz/corpus cargo test --workspace --test it fuzz::seeds
	@for target in $(FUZZ_TARGETS); do \
		echo "Fuzzing $$target for $(FUZZ_SECONDS) s" >&2; \
		PATH=$(CARGO_FUZZ_ROOT)/bin:$$PATH cargo fuzz run --sanitizer none "$$target" -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1; \
	done

.PHONY: alerts
alerts: $(PROMTOOL) ## Test the chart's alerts with promtool
	$(PROMTOOL) check rules --lint=all --lint-fatal charts/kastellan/files/rules.yaml
	$(PROMTOOL) test rules tests/gitops/rules_test.yaml

.PHONY: test-prometheus
test-prometheus: prerequisites $(TEST_TOOLS) ## Have a Prometheus scrape the operator, and ask it what dashboard and alerts ask (PROMETHEUS=path)
	@command -v '$(PROMETHEUS)' >/dev/null || { echo "There is no $(PROMETHEUS): apt-get install prometheus, or PROMETHEUS=path" >&2; exit 1; }
	KASTELLAN_PROMETHEUS='$(PROMETHEUS)' cargo test --package kastellan --test it prometheus:: -- --ignored

# The tests of Flux take 2 minutes on two cores, most of it its own pauses and timeouts. They are not part of `make test`.
.PHONY: test-gitops
test-gitops: prerequisites $(filter-out $(HELM),$(TEST_TOOLS)) $(FLUX_CONTROLLER) ## Have Flux apply the examples; ask Argo CD and kstatus what they say of statuses
	go test -C tests/gitops -vet=off ./...
	KASTELLAN_FLUX=$(FLUX) cargo test --package kastellan --test it flux:: -- --ignored --test-threads 3

# It took 5 minutes on two busy cores. It is not part of `make test`.
.PHONY: test-versions
test-versions: prerequisites $(TEST_TOOLS) ## Move every kind to another version of the API, on an API server of its own
	cargo test --package kastellan --test it versions:: -- --ignored

# It is not part of `make test`, and neither is this set of features.
.PHONY: test-otel
test-otel: prerequisites $(filter-out $(HELM),$(TEST_TOOLS)) $(COLLECTOR) ## Have a Collector of OpenTelemetry receive the traces of what is done, and lint the feature
	cargo clippy --package kastellan --features otel --all-targets -- -D warnings
	KASTELLAN_COLLECTOR='$(COLLECTOR)' cargo test --package kastellan --features otel --test it otel::

.PHONY: lint
lint: ## Check format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --package kastellan --features demo --all-targets -- -D warnings
	@unformatted=$$(gofmt -l tests/testenv tests/gitops tests/collector); [[ -z $$unformatted ]] || { echo "gofmt -w $$unformatted"; exit 1; }

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all
	gofmt -w tests/testenv tests/gitops tests/collector

.PHONY: doc
doc: ## Build the documentation of the code
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace

.PHONY: site
site: $(MDBOOK) ## Build the site of the documentation (.cache/site) and check its links
	scripts/site $(MDBOOK) .cache/site

.PHONY: generate
generate: $(TEST_TOOLS) ## Rewrite the generated files: CRDs, reference, tables, states of objects
	UPDATE=1 cargo test generated
	rm -f charts/kastellan/files/crds/*
	cp crds/*.yaml charts/kastellan/files/crds/

.PHONY: deny
deny: $(CARGO_DENY) ## Check licences, banned crates and sources
	$(CARGO_DENY) --locked --all-features check licenses bans sources

.PHONY: advisories
advisories: $(CARGO_DENY) ## Check the crates against the advisories of RustSec, which are fetched
	$(CARGO_DENY) --locked --all-features check advisories

.PHONY: sbom
sbom: $(CARGO_CYCLONEDX) ## Write what the release is made of (.cache/sbom/kastellan.cdx.json)
	scripts/sbom '$(CARGO_CYCLONEDX)' .cache/sbom/kastellan.cdx.json

.PHONY: reproducible
reproducible: ## Build the release twice and compare the bytes: about 15 minutes on two idle cores
	scripts/test-reproducible .cache/release/kastellan

.PHONY: rootfs
rootfs: ## Assemble the image's files around the release's binary and run it in them, without a container engine
	@[[ -e .cache/release/kastellan ]] || scripts/build-release .cache/release/kastellan
	rm -rf .cache/release/rootfs
	scripts/rootfs .cache/release/kastellan .cache/release/rootfs
	cargo build --locked --package zitadel-emulator --bin zitadel-emulator
	scripts/test-rootfs .cache/release/rootfs $${CARGO_TARGET_DIR:-target}/debug/zitadel-emulator

.PHONY: workflows
workflows: $(ACTIONLINT) ## Check the workflows of GitHub
	$(ACTIONLINT)

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

# source-controller is there for its CRDs alone.
$(FLUX_CONTROLLER): $(foreach name,kustomize source,$(addprefix tools/$(name)-controller/go.,mod sum))
	@echo "Building Flux's kustomize-controller: about 5 minutes on two idle cores the first time." >&2
	@mkdir -p $(FLUX)/crds
	@for name in kustomize source; do \
		module=github.com/fluxcd/$$name-controller; \
		go mod download -C tools/$$name-controller $$module; \
		cat "$$(go list -C tools/$$name-controller -m -f '{{.Dir}}' $$module)"/config/crd/bases/*.yaml >$(FLUX)/crds/$$name.yaml; \
	done
	$(call go-build,kustomize-controller,tools/kustomize-controller,,github.com/fluxcd/kustomize-controller)

$(COLLECTOR): tests/collector/go.mod tests/collector/go.sum tests/collector/main.go
	@echo "Building the OpenTelemetry Collector: about 2 minutes on two idle cores the first time." >&2
	$(call go-build,Collector,tests/collector,,.)

$(ACTIONLINT): tools/actionlint/go.mod tools/actionlint/go.sum
	$(call go-build,actionlint,tools/actionlint,,github.com/rhysd/actionlint/cmd/actionlint)

# Without its clients of clouds, in which it would look for what to scrape: rules need none.
$(PROMTOOL): tools/promtool/go.mod tools/promtool/go.sum
	@echo "Building promtool: about 2 minutes on two idle cores the first time." >&2
	$(call go-build,promtool,tools/promtool,,github.com/prometheus/prometheus/cmd/promtool,-tags remove_all_sd)

# $(call cargo-install,NAME,VERSION,DIRECTORY): how fast it runs does not matter, how fast it builds does.
define cargo-install
@echo "Building $(1) $(2): about 2 minutes." >&2
CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
	CARGO_TARGET_DIR=$(3)/target cargo install --locked --version $(2) --root $(3) $(1)
rm -rf $(3)/target
endef

$(CARGO_DENY):
	$(call cargo-install,cargo-deny,$(CARGO_DENY_VERSION),$(CARGO_DENY_ROOT))

$(CARGO_FUZZ):
	$(call cargo-install,cargo-fuzz,$(CARGO_FUZZ_VERSION),$(CARGO_FUZZ_ROOT))

$(CARGO_CYCLONEDX):
	$(call cargo-install,cargo-cyclonedx,$(CARGO_CYCLONEDX_VERSION),$(CARGO_CYCLONEDX_ROOT))

$(MDBOOK):
	$(call cargo-install,mdbook,$(MDBOOK_VERSION),$(MDBOOK_ROOT))

# What is missing is said before a build that takes minutes.
$(TESTENV) $(HELM) $(FLUX_CONTROLLER) $(COLLECTOR) $(ACTIONLINT) $(PROMTOOL) $(CARGO_DENY) $(CARGO_CYCLONEDX) $(CARGO_FUZZ) $(MDBOOK): | prerequisites

# corten: `make demo` shows it, `make test` proves it, `make install` keeps it.
#
# Everything but the toolchain of Rust itself is installed by the targets that
# need it, on a Debian where they run as root; elsewhere they say what is missing.

SHELL  := /bin/sh
CARGO  ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
# Passed on to the test programs: `make test ARGS=lifecycle`.
ARGS   ?=

# .cargo/config.toml names this machine's own target, so cargo builds below it.
TUPLE  := $(shell rustc --print host-tuple 2>/dev/null || rustc -vV | sed -n 's/^host: //p')
OUT    := target/$(TUPLE)

.DEFAULT_GOAL := build
.PHONY: build release demo test test-vm test-vm-quick lint fmt conformance abuse defences undefended fuzz deny engines engine-table mutation matrix matrix-page bench bench-page order man binaries install uninstall deb dist handbook book screenshots clean build-deps test-deps handbook-deps help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t16

build: build-deps ## the binary, built in seconds (release code, thin LTO)
	$(CARGO) build --locked --profile fast -p corten

release: build-deps ## the binary as it is shipped (one static file, fat LTO)
	$(CARGO) build --locked --release -p corten
	@ls -l $(OUT)/release/corten

demo: build-deps ## the story of a container under the hood
	@scripts/install-packages busybox-static
	$(CARGO) build --locked --profile fast -p corten
	@RUNTIME="$${RUNTIME:-$(OUT)/fast/corten}" scripts/demo.sh

test: lint test-deps handbook-deps undefended ## every test: unit, property, differential, conformance, engines, bad input
	$(CARGO) build --locked --profile fast -p corten -p containerd-shim-corten
	@$(MAKE) --no-print-directory man PROFILE=fast
	@-scripts/fetch-containerd trixie forky
	RUNTIME="$(CURDIR)/$(OUT)/fast/corten" $(CARGO) test --locked --workspace --no-fail-fast -- $(ARGS)
	$(DEFENCES)
	$(MAKE) --no-print-directory test-vm-quick

# Limits are ends of machines that hang: several times what a quiet one takes.
test-vm: test-deps ## conformance, the `host` tests, the shim and podman's stories in an emulated machine: systemd, cgroup v2, AppArmor, SELinux, CRIU
	$(CARGO) build --locked --profile fast -p corten -p containerd-shim-corten
	scripts/vm/test $(OUT)/fast/corten 5400 host $(ARGS) -- conformance $(ARGS)
	scripts/vm/test $(OUT)/fast/corten 3000 shim $(ARGS) $(if $(ARGS),,-- engines ctr)
	scripts/vm/test $(OUT)/fast/corten 5400 engines $(or $(ARGS),podman)
	VM_APPEND="lsm=landlock,lockdown,yama,selinux,bpf audit=0" scripts/vm/test $(OUT)/fast/corten 900 host selinux
	VM_APPEND=systemd.unified_cgroup_hierarchy=0 scripts/vm/test $(OUT)/fast/corten 600 host hybrid

# The part of it for every change: scopes, controllers, users, a checkpoint.
test-vm-quick:
	@$(CARGO) build --locked -q --profile fast -p corten
	scripts/vm/test $(OUT)/fast/corten 900 host scopes -- host controllers -- host users -- host there_and_back

lint: build-deps test-deps ## formatting and clippy, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fmt: ## formats the source
	$(CARGO) fmt --all

conformance: test-deps ## the conformance suite alone; RUNTIME=/usr/sbin/runc tests another runtime
	@test -n "$$RUNTIME" || $(CARGO) build --locked --profile fast -p corten
	RUNTIME="$${RUNTIME:-$(CURDIR)/$(OUT)/fast/corten}" $(CARGO) test --locked -p runtime-tests --test conformance -- $(ARGS)

engines: test-deps ## container engines (podman, Docker, containerd, pods of Kubernetes, buildah) driving corten, each beside another runtime
	$(CARGO) build --locked --profile fast -p corten -p containerd-shim-corten
	@-scripts/fetch-containerd trixie forky
	$(CARGO) build --locked -p cri
	RUNTIME="$${RUNTIME:-$(CURDIR)/$(OUT)/fast/corten}" $(CARGO) test --locked -p runtime-tests --test engines -- $(ARGS)

handbook: test-deps handbook-deps ## packaging, and every command of the documentation, run as written
	$(CARGO) build --locked --profile fast -p corten -p containerd-shim-corten
	@$(MAKE) --no-print-directory man PROFILE=fast
	RUNTIME="$${RUNTIME:-$(CURDIR)/$(OUT)/fast/corten}" VIEW=host $(CARGO) test --locked -p runtime-tests --test handbook -- $(ARGS)

engine-table: test-deps ## docs/engines/features.md: every engine, every feature, corten beside runc and crun
	$(CARGO) build --locked --profile fast -p corten -p containerd-shim-corten
	@-scripts/fetch-containerd trixie forky
	$(CARGO) build --locked -p cri
	@mkdir -p $(MATRIX)
	for peer in runc crun; do \
	    PEER=$$(PATH="$$PATH:/usr/sbin:/sbin" command -v $$peer) RUNTIME="$${RUNTIME:-$(CURDIR)/$(OUT)/fast/corten}" \
	        $(CARGO) test --locked -q -p runtime-tests --test engines -- --json $(MATRIX)/engines-$$peer.json; \
	done
	$(CARGO) run --locked -q -p runtime-tests --bin engine_table -- runtime-tests/engine-differences.toml \
	    runc=$(MATRIX)/engines-runc.json crun=$(MATRIX)/engines-crun.json > $(MATRIX)/engines.md
	cp $(MATRIX)/engines.md docs/engines/features.md

mutation: test-deps ## breaks the runtime under each conformance test in turn: the test must notice
	$(CARGO) build --locked --profile fast -p corten
	RUNTIME="$${RUNTIME:-$(CURDIR)/$(OUT)/fast/corten}" VIEW="$${VIEW:-host}" $(CARGO) test --locked -p runtime-tests --test conformance --test bad_input --no-fail-fast -- --mutate $(ARGS)

abuse: test-deps ## faults, attacks, churn and crowds of shims in full: hours; `make test` has the bounded ones
	$(CARGO) build --locked --profile fast -p corten -p containerd-shim-corten
	ABUSE=full TEST_LIMIT=14400 RUNTIME="$${RUNTIME:-$(CURDIR)/$(OUT)/fast/corten}" $(CARGO) test --locked -p runtime-tests --test abuse --test shim -- $(ARGS)

fuzz: build-deps ## coverage-guided fuzzing, FUZZ_SECONDS=60 for each of nine targets
	@scripts/install-packages g++
	scripts/fuzz.sh

# Installed by hand, because it is larger than everything else here together:
# `cargo install --locked cargo-deny`. It fetches the list of advisories itself;
# without a network, `make deny DENY="bans licenses sources"`.
DENY ?= advisories bans licenses sources
deny: ## licences, bans and advisories of what is linked into corten
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	$(CARGO) deny --locked check $(DENY)

# Where v2 alone is mounted every attack can be played.
DEFENCES = VIEW=v2 RUNTIME="$(CURDIR)/$(OUT)/fast/corten" $(CARGO) test --locked -p runtime-tests --test abuse --test conformance \
	--no-fail-fast -- --undefended "$(CURDIR)/$(OUT)/corten-undefended" $(ARGS)

defences: test-deps undefended ## takes one defence after the other away: the test of its attack must notice
	$(CARGO) build --locked --profile fast -p corten
	$(DEFENCES)

# Under another name, for the next build puts an ordinary corten in its place.
undefended: build-deps
	$(CARGO) build --locked --profile fast -p corten --features undefended
	@cp $(OUT)/fast/corten $(OUT)/corten-undefended

# crun takes part in the v1 view only: it refuses hybrid hosts, and Debian 12's wants
# CAP_SYS_RESOURCE on v2. A failed test is a row of the table here, not an error.
SUITE  = $(CARGO) test --locked -q -p runtime-tests --test conformance -- --json
MATRIX = $(CURDIR)/target/conformance

matrix: test-deps ## docs/conformance.md: corten, runc and crun run the conformance tests
	$(CARGO) build --locked --profile fast -p corten
	@mkdir -p $(MATRIX)
	-RUNTIME="$(CURDIR)/$(OUT)/fast/corten" VIEW=host,v1,v2 $(SUITE) $(MATRIX)/corten.json
	-RUNTIME=/usr/sbin/runc VIEW=host,v1,v2 $(SUITE) $(MATRIX)/runc.json
	-RUNTIME=/usr/bin/crun VIEW=v1 $(SUITE) $(MATRIX)/crun.json
	@$(MAKE) --no-print-directory matrix-page

matrix-page: ## docs/conformance.md again, from the reports of the last `make matrix`
	$(CARGO) run --locked -q -p runtime-tests --bin matrix -- runtime-tests/differences.toml \
	    $(MATRIX)/corten.json $(MATRIX)/runc.json $(MATRIX)/crun.json > $(MATRIX)/page.md
	cp $(MATRIX)/page.md docs/conformance.md

BENCH = RUNTIME="$(CURDIR)/$(OUT)/release/corten" $(CARGO) run --locked -q --release -p runtime-tests --bin bench --

bench: test-deps release ## every command: corten, runc, crun and the floor, interleaved; ARGS=--quick takes three minutes
	$(CARGO) build --locked --release -p containerd-shim-corten
	$(BENCH) --json target/bench.json $(ARGS)

bench-page: ## puts the figures of the last `make bench` into docs/performance.md
	$(BENCH) page target/bench.json docs/performance.md docs/performance.svg

order: build-deps ## the order of corten's functions in its file, from watching what commands execute (x86-64)
	@scripts/install-packages binutils busybox-static
	$(CARGO) build --locked --release -p corten --config profile.release.strip=false
	$(CARGO) run --locked -q -p runtime-tests --bin order -- "$(CURDIR)/$(OUT)/release/corten" > target/functions.ld
	cp target/functions.ld crates/corten/functions.ld

# The day of the commit: the same sources give the same pages.
DAY = $(shell git log -1 --format=%cs 2>/dev/null || date -u +%F)

man: build-deps ## man pages and completions in target/assets
	$(CARGO) run --locked -q --profile $(PROFILE) -p corten --example assets -- target/assets $(DAY)
	@ls target/assets/*

# What is installed and packaged; PROFILE=fast builds in seconds what PROFILE=release
# builds in minutes.
PROFILE ?= release
BINARIES = $(OUT)/$(PROFILE)
ASSETS   = target/assets
export DESTDIR PREFIX

binaries: build-deps
	$(CARGO) build --locked --profile $(PROFILE) -p corten -p containerd-shim-corten

install: binaries man ## into PREFIX (/usr/local), below DESTDIR if that is set
	scripts/install-files install $(BINARIES) $(ASSETS)

uninstall: ## takes away what `make install` installed
	scripts/install-files uninstall $(BINARIES) $(ASSETS)

deb: binaries man ## a Debian package in target/dist
	scripts/make-deb $(BINARIES) $(ASSETS) target/dist

dist: binaries man ## a release in target/dist: archives, checksums, bill of materials
	@scripts/install-packages git python3
	scripts/make-dist $(BINARIES) $(ASSETS) target/dist

# Debian 12 has no package of it: `cargo install --locked mdbook`.
book: ## the documentation as a book in target/book
	@command -v mdbook >/dev/null || { echo "mdbook is missing: cargo install --locked mdbook" >&2; exit 1; }
	mdbook build docs

screenshots: build ## docs/screenshots, from a real terminal
	scripts/screenshots.py $(OUT)/fast/corten docs/screenshots

clean: ## removes what was built
	$(CARGO) clean

build-deps:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install the toolchain of Rust (https://rustup.rs)" >&2; exit 1; }
	@scripts/install-packages gcc libc6-dev

# The engines, and what podman wants beside it: networks, users' namespaces, pods.
ENGINES = containerd docker.io buildah podman conmon golang-github-containers-common netavark aardvark-dns iptables \
	uidmap slirp4netns catatonit containernetworking-plugins

# The shells whose completions are tried, who reads man pages and packages, and what
# pages and scripts call.
handbook-deps:
	@scripts/install-packages zsh fish bash-completion mandoc lintian jq python3

# runc and crun are the peers that the benchmark and the conformance suite can
# run against; libseccomp is the oracle of the seccomp compiler's test; procps has
# the ps and kill, iproute2 the ip that tests call. protoc is for the client of CRI.
test-deps: build-deps
	@scripts/install-packages busybox-static runc crun libseccomp-dev debootstrap strace procps iproute2 protobuf-compiler $(ENGINES)

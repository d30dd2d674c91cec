# SPDX-License-Identifier: Apache-2.0
# GNU make. `make help` prints the targets: what stands behind ## in their lines.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := build
.PHONY: help build demo test unit lint portable code-runner code-runner-test install docs dist deb release-check
.PHONY: startup-order soak campaign clean prerequisites

PREFIX ?= /usr/local
BINARY := .build/release/swrunc
# Not beside the binary, whose folder a first build makes last.
LINK_MAP := .build/swrunc.map
# What --version tells as the commit, up to 48 bytes; without it the one that is checked out, if any.
COMMIT ?=
# How long make soak takes.
SOAK_SECONDS ?= 3600
# Another runtime to show, for comparison: make demo RUNTIME=runc
RUNTIME ?=

# lld comes with the Swift toolchain; gold, its default, is leaving the distributions. Functions that the same
# commands run lie together, which spares a third of the memory (conformance/bench/startup-order); the code runs
# once, so that its size counts.
# Type metadata comes from functions instead of names, which the runtime would first have to take apart.
RELEASE := -c release --product swrunc --static-swift-stdlib -Xswiftc -static-executable -Xswiftc -Osize \
	-Xswiftc -use-ld=lld -Xlinker -s \
	-Xswiftc -Xfrontend -Xswiftc -function-sections -Xlinker --no-warn-symbol-ordering \
	-Xswiftc -Xfrontend -Xswiftc -disable-concrete-type-metadata-mangled-name-accessors \
	-Xlinker --no-demangle -Xlinker --symbol-ordering-file=$(CURDIR)/Sources/swrunc/startup-order.txt \
	-Xlinker -T -Xlinker $(CURDIR)/Sources/swrunc/layout.ld
# g++ brings the C library and C++ runtime archives that the static link takes.
PREREQUISITES := g++ binutils git ca-certificates libcap-dev libseccomp-dev pkg-config busybox-static

help: ## prints this
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 18

# The commit goes into the link alone, as the values of symbols (Sources/BuildCommit).
build: prerequisites ## the release binary, .build/release/swrunc: one static, stripped file
	@commit='$(COMMIT)'
	# A tree that is not itself under git may lie inside of one that is.
	if [ -z "$$commit" ] && git ls-files --error-unmatch Package.swift >/dev/null 2>&1; then
		commit=$$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null) || commit=
	fi
	stamp=() number=0
	for word in $$(printf %.48s "$$commit" | od -An -v -tx8); do
		stamp+=(-Xlinker "--defsym=build_commit_$$((number++))=0x$$word")
	done
	# The linker itself tells what is linked (packaging/components.py).
	stamp+=(-Xlinker -Map=$(CURDIR)/$(LINK_MAP))
	# The linker's input is of no target, so that nobody else sees when it has changed.
	for input in Sources/swrunc/{startup-order.txt,layout.ld}; do
		if [ $$input -nt $(BINARY) ]; then rm -f $(BINARY); fi
	done
	[ -e $(LINK_MAP) ] || rm -f $(BINARY)
	swift build $(RELEASE) "$${stamp[@]}"
	if readelf -lSW $(BINARY) | grep -E '\.dynamic|INTERP|\.symtab'; then
		echo '$(BINARY) is not one static, stripped file' >&2
		exit 1
	fi
	if readelf -SW $(BINARY) | grep -E ' \.rodata .* WA'; then
		echo '$(BINARY) has constants that can be written (Sources/swrunc/layout.ld)' >&2
		exit 1
	fi
	# One call of it brings in 1.3 MB.
	if grep -q 17_StringProcessing $(BINARY); then
		echo '$(BINARY) uses the regular expressions of the standard library' >&2
		exit 1
	fi
	echo "$(BINARY): $$(stat -c %s $(BINARY)) bytes, static, stripped"

# Build only when there is no binary, so that `sudo make install` needs no toolchain.
$(BINARY):
	@$(MAKE) build

# The binary itself prints its manual pages and completion scripts.
install: $(BINARY) ## binary, manual pages and completion, below PREFIX (/usr/local), DESTDIR
	@prefix='$(DESTDIR)$(PREFIX)' share='$(DESTDIR)$(PREFIX)/share'
	install -D -m 755 $(BINARY) "$$prefix/bin/swrunc"
	print() { install -D -m 644 /dev/stdin "$$1"; }
	$(BINARY) manual | print "$$share/man/man8/swrunc.8"
	for command in $$($(BINARY) manual --list); do
		$(BINARY) manual "$$command" | print "$$share/man/man8/swrunc-$$command.8"
	done
	$(BINARY) completion bash | print "$$share/bash-completion/completions/swrunc"
	$(BINARY) completion zsh | print "$$share/zsh/site-functions/_swrunc"
	$(BINARY) completion fish | print "$$share/fish/vendor_completions.d/swrunc.fish"

startup-order: build ## renews the order of functions in the binary, as root, after the code of launches has changed
	@conformance/bench/startup-order >.build/startup-order.txt
	cp .build/startup-order.txt Sources/swrunc/startup-order.txt
	$(MAKE) build

# A container in a busybox root file system: what it sees of itself, and the status it ends with.
demo: $(if $(RUNTIME),prerequisites,build) ## a container, as root; RUNTIME=runc shows another runtime
	@runtime='$(or $(RUNTIME),$(CURDIR)/$(BINARY))' status=7
	[ "$$(id -u)" = 0 ] || { echo 'make demo starts a container and needs root' >&2; exit 1; }
	bundle=$$(mktemp -d)
	trap 'rm -rf --one-file-system "$$bundle"' EXIT
	mkdir -p "$$bundle"/rootfs/{bin,dev,etc,proc,sys}
	cp "$$(command -v busybox)" "$$bundle/rootfs/bin/busybox"
	for applet in cut hostname id ps sh; do ln -s busybox "$$bundle/rootfs/bin/$$applet"; done
	echo 'root:x:0:0:root:/:/bin/sh' >"$$bundle/rootfs/etc/passwd"
	echo 'root:x:0:' >"$$bundle/rootfs/etc/group"
	cat >"$$bundle/rootfs/show" <<-'SHOW'
		echo "hostname:  $$(hostname)"
		echo "user:      $$(id)"
		echo 'processes:'; ps
		echo 'mounts:'; cut -d' ' -f2,3 /proc/mounts
		exit $$1
	SHOW
	(cd "$$bundle" && "$$runtime" spec)
	sed -zi 's|"args": *\[[^]]*\]|"args": ["sh", "/show", "'$$status'"]|
		s|"terminal": *true|"terminal": false|; s|"hostname": *"[^"]*"|"hostname": "demo"|' \
		"$$bundle/config.json"
	echo "$$runtime run --bundle $$bundle demo"
	ended=0
	"$$runtime" --root "$$bundle/state" run --bundle "$$bundle" demo || ended=$$?
	echo "exit status: $$ended (chosen: $$status)"
	[ "$$ended" = "$$status" ]

# run NAME FLAG...: runs tests, and sets `failed` where that did not go well.
define RUN_TESTS
	mkdir -p .build/test-logs
	swift build --build-tests
	failed=
	run() {
		local log=.build/test-logs/$$1; shift
		swift test --skip-build --disable-xctest "$$@" 2>&1 | tee "$$log" || failed=1
		# A filter that matches nothing must not pass for tests that did.
		grep -qE 'Test run with [1-9][0-9]* test' "$$log" || { failed=1; echo "no tests ran: $$*" >&2; }
	}
endef
UNIT := --skip '^IntegrationTests\.'

unit: prerequisites ## the tests that start no container, in a debug build; no root
	@$(RUN_TESTS)
	run unit $(UNIT)
	[ -z "$$failed" ]

test: build ## all tests: unit, then real containers with the release binary, as root
	@$(RUN_TESTS)
	run unit $(UNIT)
	SWRUNC='$(CURDIR)/$(BINARY)' run integration --filter '^IntegrationTests\.'
	echo 'Not run on this host:'
	grep -hE 'skipped: ' .build/test-logs/{unit,integration} | sed 's/^[^A-Z]*/    /' || echo '    nothing'
	grep -hE '^[^A-Z]*Test run with' .build/test-logs/{unit,integration} || true
	# Last, for who reads only the end: what failed, and where.
	[ -z "$$failed" ] || grep -hE '^✘ ' .build/test-logs/{unit,integration} || true
	[ -z "$$failed" ]

lint: ## checks the formatting
	@swift format lint --strict --parallel -r Package.swift Sources Tests

portable: ## compiles for Musl, for other systems, and without traits
	@conformance/portable

code-runner: prerequisites ## starts the example, a service that runs programs, on port 8080; as root
	@exec Tests/CodeRunner/start

code-runner-test: prerequisites ## builds the example, and tests it over HTTP; as root
	@exec Tests/CodeRunner/test

docs: prerequisites ## the articles and the library's reference, .build/docs/ContainerKit.doccarchive
	@packaging/docs

# COMMIT is the one that is checked out; packaging/dist --dirty tries what is not committed.
dist: build ## tarball, checksums, bill of materials and provenance of a release, in .build/dist
	@packaging/dist

deb: build docs ## Debian packages of swrunc and the documentation, in .build/deb
	@packaging/deb/build

release-check: ## walks through the checklist of a release (CONTRIBUTING.md)
	@packaging/release-check

soak: build ## hostile input, kills, failing calls and races for an hour, as root; SOAK_SECONDS=600
	@conformance/security/run --seconds $(SOAK_SECONDS)

campaign: build ## the long parts of the tests, into a table with date and commit; PARTS="a b" chooses
	@conformance/campaign $(PARTS)

clean: ## removes what was built
	@rm -rf .build

prerequisites: ## installs the Debian packages that a build needs; looks for Swift
	@command -v swift >/dev/null || { echo 'a Swift 6 toolchain must be in PATH: https://swift.org/install' >&2; exit 1; }
	command -v dpkg-query >/dev/null || exit 0
	missing=()
	for package in $(PREREQUISITES); do
		[[ $$(dpkg-query -W -f '$${Status}' $$package 2>/dev/null) == *' installed' ]] || missing+=("$$package")
	done
	(($${#missing[@]})) || exit 0
	if [ "$$(id -u)" != 0 ]; then
		echo "missing packages; as root: apt-get install $${missing[*]}" >&2
		exit 1
	fi
	echo "installing $${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	install() { apt-get -qq install --no-install-recommends "$${missing[@]}" >/dev/null; }
	install 2>/dev/null || { apt-get -qq update && install; }

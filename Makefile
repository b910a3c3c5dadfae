# The habits of this repository. `make` or `make help` lists them.
#
# run and test need Rust, a C compiler (for SQLite) and make. e2e, bench and cross fetch
# what they need from Debian and PyPI into target/tools; what they could not get they name
# behind NOT CHECKED.

CARGO  ?= cargo
CORPUS ?= ../shared/openapi-corpus
TARGET ?= aarch64-unknown-linux-musl
FUZZ_SECONDS ?= 30
FUZZ_SEED ?= 1
MUTATIONS ?= 20000
SHELL_SCRIPTS := .ci/run .ci/pi .ci/deploy systemd/install.sh systemd/debian/preinst systemd/debian/postinst systemd/debian/prerm systemd/debian/postrm

.DEFAULT_GOAL := help
.PHONY: help run test e2e machine screenshot lint bench corpus cross pi dist deb images deploy fuzz clean

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

run: ## the whole system with simulated data, no network: open the printed address
	$(CARGO) run --locked -- demo

test: ## all tests that need no network
	$(CARGO) test --locked --workspace

e2e: ## end-to-end tests with Glances' API, a browser, promtool, SMTP servers (STORIES="demo stop")
	tests/e2e/run $(STORIES)

machine: ## install, upgrade, restart, power cuts on Debian with systemd, in a virtual machine, as root (STORIES="supervision")
	tests/machine/run $(STORIES)

screenshot: ## README's screenshot, from the demo
	$(CARGO) build --locked --quiet --bin main-node
	E2E_BINARY="$${CARGO_TARGET_DIR:-target}/debug/main-node" python3 tests/e2e/stories/pages.py

lint: ## rustfmt, clippy, links in comments, shell scripts, licences
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items
	for script in $(SHELL_SCRIPTS); do bash -n $$script || exit 1; done
	if bin=$$(.ci/tools.py venv:shellcheck); then "$$bin/shellcheck" --severity=warning $(SHELL_SCRIPTS); fi
	python3 -c 'import ast, sys; [ast.parse(open(name).read(), name) for name in sys.argv[1:]]' .ci/*.py .ci/cross .ci/deb .ci/dist .ci/font .ci/icons .ci/images .ci/supply-chain tests/e2e/*.py tests/e2e/*/*.py tests/e2e/run tests/machine/*.py tests/machine/stories/*.py tests/machine/run tests/bench/*.py tests/bench/run
	.ci/supply-chain

bench: ## benchmarks of speed, memory and size, each next to a baseline of the same run
	tests/bench/run

corpus: ## published OpenAPI files, compiled in and at run time (CORPUS=directory)
	@test -f "$(CORPUS)/oracle.json" || { echo "make corpus: no corpus at $(CORPUS): it holds specs/ and oracle.json; say where it is: make corpus CORPUS=directory"; exit 2; }
	$(CARGO) run --locked --quiet --release --package codegen --example corpus -- "$(CORPUS)"

cross: ## static binaries with Debian's own Rust, run as the processors that they are for
	.ci/cross

pi: ## one static binary for a Pi, with rustup or Docker (TARGET=arm-unknown-linux-musleabihf for a Zero)
	.ci/pi $(TARGET)

dist: ## a release of what make pi or make cross built: archives, packages, images, checksums
	.ci/dist

deb: ## Debian packages of what make pi or make cross built (amd64, arm64, armhf)
	.ci/deb

images: ## container images for `docker load` of what make pi or make cross built
	.ci/images

deploy: ## onto a Pi over SSH (PI=pi@main-node.local), with the way back if it fails there
	.ci/deploy $(PI)

fuzz: ## hostile input, seeded (FUZZ_SECONDS=30 for each fuzzer, FUZZ_SEED=1, MUTATIONS=20000)
	FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) $(CARGO) test --locked --bin main-node -- --nocapture fuzz_ no_bytes_make_the_parser_panic_or_continue_after_an_error
	MUTATIONS=$(MUTATIONS) $(CARGO) test --locked --package codegen --test mutations

clean: ## everything built or fetched
	rm -rf target

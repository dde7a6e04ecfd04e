# Everything there is to do, one word each: `make` lists it.

CARGO ?= cargo
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
SBINDIR ?= $(PREFIX)/sbin
BINDIR ?= $(PREFIX)/bin
# gmetad looks in ../lib/gmetad from where it is.
PYTHONHOSTDIR ?= $(PREFIX)/lib/gmetad
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/gmetad
INCLUDEDIR ?= $(PREFIX)/include
# Where the RRD files go, unless gmetad.conf says otherwise, and whose that folder is to be.
RRDDIR ?= /var/lib/ganglia/rrds
RRDUSER ?= nobody
# Which start script `install` adds: systemd, sysv, openrc, or none; and where systemd's units go.
INIT ?= none
UNITDIR ?= $(SYSCONFDIR)/systemd/system
# Set to anything, `install` strips what it installs: no line numbers in the log after a failure.
INSTALL_STRIP ?=
INSTALL_PROGRAM := install $(if $(INSTALL_STRIP),-s) -m 755
# Checksums of the files below SYSCONFDIR as they were installed: how an edited one is known.
RECORD := $(PREFIX)/share/gmetad/installed
INSTALL_ETC = DESTDIR='$(DESTDIR)' SYSCONFDIR='$(SYSCONFDIR)' SBINDIR='$(SBINDIR)' \
	UNITDIR='$(UNITDIR)' RRDDIR='$(RRDDIR)' RRDUSER='$(RRDUSER)' RECORD='$(RECORD)' \
	contrib/install-etc.sh
# Where each shell looks for completions.
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
DOCS := contrib/gmetad.conf README.md CHANGELOG.md LICENSE $(wildcard docs/*.md docs/*.svg)
TARGET := $(or $(CARGO_TARGET_DIR),target)

# Where rustup puts cargo, for a shell that was opened before it did.
export PATH := $(PATH):$(HOME)/.cargo/bin

# Every target that `help` lists is a word, and no file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*\#\#.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list what can be done
	@echo 'make …'
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo 'install and uninstall honour DESTDIR, PREFIX ($(PREFIX)), SYSCONFDIR ($(SYSCONFDIR)),'
	@echo 'INIT=systemd, sysv or openrc, which adds a start script, UNITDIR, and INSTALL_STRIP=yes'

build: ## build for trying out: target/debug/gmetad
	$(CARGO) build

release: ## build for use: target/release/gmetad
	$(CARGO) build --release --locked

plugins: ## build the example plugins: target/plugins/*.so, to be copied to plugins_dir
	install -d $(TARGET)/plugins
	$(CC) -std=c99 -O2 -Wall -Wextra -shared -fPIC -Iinclude -o $(TARGET)/plugins/count_hosts.so \
		contrib/plugins/examples/count_hosts.c
	$(CARGO) build --release --locked -p load_per_cpu
	install -m 755 $(TARGET)/release/libload_per_cpu.so $(TARGET)/plugins/load_per_cpu.so

python-host: ## build what runs plugins in Python: target/release/libgmetad_python*.so
	$(CARGO) build --release --locked -p gmetad-python -p gmetad-python-host

test: ## install what the tests need, build, run them all
	@contrib/deps.sh build test
	@CARGO='$(CARGO)' contrib/test.sh

static: ## build one file that needs nothing else, against musl: target/static/gmetad
	@CARGO='$(CARGO)' contrib/static.sh

static-test: ## try that in an empty root: it polls, stores, shows and sends on (as root)
	@test -x $(TARGET)/static/gmetad || $(MAKE) static
	@contrib/static-test.sh $(TARGET)/static/gmetad

test-i686: ## test the core and round-robin files on 32-bit Intel, beside its own librrd
	@CARGO='$(CARGO)' contrib/cross.sh i686

cross: ## the same for aarch64 and armv7, with a poll, under qemu-user (half an hour)
	@CARGO='$(CARGO)' contrib/cross.sh aarch64 armv7

features: ## lint and test it without each part that can be left out (a feature of Cargo.toml), and without all
	@contrib/deps.sh build test
	@CARGO='$(CARGO)' contrib/features.sh test

lint-features: ## lints only, two or three parts left out at a time
	@CARGO='$(CARGO)' contrib/features.sh

soak: ## run all simulations under new seeds, on all cores, until stopped (SOAK_SECONDS=N ends it)
	@CARGO='$(CARGO)' contrib/soak.sh

kills: ## kill gmetad and a real Prometheus and VictoriaMetrics 50 times each: no value is lost or twice
	GMETAD_KILLS=50 $(CARGO) test --test exports kills:: -- --nocapture

faults: ## the real binary: 200 kills, stopped for a minute, 100,000 connections (20 minutes)
	GMETAD_KILLS=200 $(CARGO) test --test files survives_kills -- --nocapture
	GMETAD_STOP_SECONDS=60 $(CARGO) test --test serving that_is_stopped
	GMETAD_CONNECTIONS=100000 $(CARGO) test --test serving very_many_clients -- --nocapture

demo: ## install what it needs, build, run a real gmond and gmetad over it (DEMO_SECONDS=N ends it)
	@contrib/deps.sh build demo
	$(CARGO) build
	@contrib/demo.sh $(TARGET)/debug/gmetad

demo-remote: ## the same, and every value sent on to a real Prometheus, which is asked for load_one
	@contrib/deps.sh build demo-remote
	$(CARGO) build
	@contrib/demo-remote.sh $(TARGET)/debug/gmetad

footprint: ## what it needs at rest with one gmond, beside C gmetad (five minutes; FOOTPRINT_SECONDS=N)
	@contrib/deps.sh build test
	$(CARGO) build --release --locked
	$(CARGO) build --release --examples
	benches/footprint.py $(TARGET)/release/gmetad $(TARGET)/release/examples/farm

bench: ## measure it beside C gmetad, and the core alone (an hour; the machine should be idle)
	@contrib/deps.sh build test
	$(CARGO) build --release --locked
	$(CARGO) build --release --examples
	$(TARGET)/release/examples/versus --svg docs/benchmarks.svg
	benches/floor.py --examples $(TARGET)/release/examples $(TARGET)/release/gmetad
	benches/pages.py $(TARGET)/release/gmetad $(TARGET)/release/examples/farm
	benches/remote.py $(TARGET)/release/gmetad $(TARGET)/release/examples/farm
	benches/remote.py --held 300 $(TARGET)/release/gmetad $(TARGET)/release/examples/farm
	benches/size.sh
	$(CARGO) bench --bench core

bench-million: ## send a million metrics each 15 s to a real VictoriaMetrics for ten minutes; fails if any is missed
	@contrib/deps.sh build test
	$(CARGO) build --release --locked
	$(CARGO) build --release --example farm
	benches/remote.py --million --seconds 600 $(TARGET)/release/gmetad $(TARGET)/release/examples/farm

check: ## what breaks most often, in under a minute: format, lints, walls, the core's and the configuration's tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@contrib/lint.sh
	$(CARGO) test -q -p gmetad-core -p gmetad-config
	$(CARGO) test -q --test house

pictures: ## make the pictures of the pages in docs/pictures anew, with a real browser
	@contrib/deps.sh build test
	$(CARGO) test --test web -- --ignored pictures

lint: ## check format, lints, scripts, man pages, tests that documents name; what is no warning here is none in CI
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@CARGO='$(CARGO)' CARGO_TARGET_DIR='$(TARGET)' contrib/fuzz.sh lint
	@contrib/lint.sh

replay: ## give every fuzz target its seeds; `contrib/fuzz.sh 60` fuzzes each for a minute
	@contrib/deps.sh build test
	@CARGO='$(CARGO)' CARGO_TARGET_DIR='$(TARGET)' contrib/fuzz.sh replay

fmt: ## format the code
	$(CARGO) fmt --all

deps: ## install what build, tests and demo need (Debian: apt-get, with sudo where not root)
	@contrib/deps.sh build test demo

install: $(TARGET)/release/gmetad ## install binary, man pages, completions, header for plugins, configuration, RRD root
	@$(INSTALL_ETC) check '$(INIT)'
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(DOCDIR) \
		$(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man7 \
		$(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(INCLUDEDIR) \
		$(addprefix $(DESTDIR),$(BASHCOMPDIR) $(ZSHCOMPDIR) $(FISHCOMPDIR))
	$(INSTALL_PROGRAM) $(TARGET)/release/gmetad $(DESTDIR)$(SBINDIR)/gmetad
	$(INSTALL_PROGRAM) $(TARGET)/release/gmetad-consistency-test $(DESTDIR)$(BINDIR)/gmetad-consistency-test
	install -m 644 man/gmetad.8 $(DESTDIR)$(MANDIR)/man8/
	@# C gmetad's page is in section 1, which man(1) looks in first.
	echo '.so man8/gmetad.8' >$(DESTDIR)$(MANDIR)/man1/gmetad.1
	install -m 644 man/gmetad.conf.5 $(DESTDIR)$(MANDIR)/man5/
	install -m 644 man/gmetad-plugin.7 $(DESTDIR)$(MANDIR)/man7/
	install -m 644 man/gmetad-consistency-test.1 $(DESTDIR)$(MANDIR)/man1/
	install -m 644 include/gmetad_plugin.h $(DESTDIR)$(INCLUDEDIR)/
	install -m 644 contrib/completions/gmetad.bash $(DESTDIR)$(BASHCOMPDIR)/gmetad
	install -m 644 contrib/completions/_gmetad $(DESTDIR)$(ZSHCOMPDIR)/
	install -m 644 contrib/completions/gmetad.fish $(DESTDIR)$(FISHCOMPDIR)/
	install -m 644 $(DOCS) $(DESTDIR)$(DOCDIR)/
	@contrib/install-root.sh '$(DESTDIR)$(RRDDIR)' '$(RRDUSER)'
	@$(INSTALL_ETC) install '$(INIT)'
	@$(if $(filter-out /etc,$(SYSCONFDIR)),echo 'Start scripts have it read $(SYSCONFDIR)/ganglia/gmetad.conf.')

install-python-host: $(TARGET)/release/libgmetad_python_host.so ## install that, to PREFIX/lib/gmetad
	install -d $(DESTDIR)$(PYTHONHOSTDIR)
	$(INSTALL_PROGRAM) $(TARGET)/release/libgmetad_python_host.so $(TARGET)/release/libgmetad_python.so \
		$(DESTDIR)$(PYTHONHOSTDIR)/

uninstall: ## remove what install put there: not the data, and no file that was edited
	rm -f $(DESTDIR)$(SBINDIR)/gmetad $(DESTDIR)$(BINDIR)/gmetad-consistency-test \
		$(DESTDIR)$(MANDIR)/man8/gmetad.8 $(DESTDIR)$(MANDIR)/man5/gmetad.conf.5 \
		$(DESTDIR)$(MANDIR)/man1/gmetad-consistency-test.1 $(DESTDIR)$(MANDIR)/man1/gmetad.1 \
		$(DESTDIR)$(BASHCOMPDIR)/gmetad $(DESTDIR)$(ZSHCOMPDIR)/_gmetad \
		$(DESTDIR)$(FISHCOMPDIR)/gmetad.fish \
		$(DESTDIR)$(MANDIR)/man7/gmetad-plugin.7 $(DESTDIR)$(INCLUDEDIR)/gmetad_plugin.h
	rm -f $(DESTDIR)$(PYTHONHOSTDIR)/libgmetad_python_host.so \
		$(DESTDIR)$(PYTHONHOSTDIR)/libgmetad_python.so
	rm -f $(addprefix $(DESTDIR)$(DOCDIR)/,$(notdir $(DOCS)))
	@$(INSTALL_ETC) uninstall all
	@rmdir $(DESTDIR)$(PYTHONHOSTDIR) $(DESTDIR)$(DOCDIR) $(dir $(DESTDIR)$(RECORD)) 2>/dev/null || true

deb: $(TARGET)/release/gmetad ## make a Debian package of the release: target/gmetad-rs_*.deb
	@packaging/deb/build.sh $(TARGET)

deb-test: deb ## install, update, remove and purge it in a throw-away root (as root, with mmdebstrap)
	@packaging/deb/test.sh "$$(ls -t $(TARGET)/gmetad-rs_*.deb | head -n 1)"

packages: $(TARGET)/release/gmetad ## try rpm, APKBUILD and the images, as far as the tools here go
	@packaging/try.sh $(TARGET)

dist: ## make a source archive that builds without a network: target/gmetad-VERSION.tar.gz
	@CARGO='$(CARGO)' contrib/dist.sh $(TARGET)

clean: ## remove what was built
	$(CARGO) clean

# Only where there is none: `sudo make install` shall build nothing as root.
$(TARGET)/release/gmetad:
	$(MAKE) release

$(TARGET)/release/libgmetad_python_host.so:
	$(MAKE) python-host

# SPDX-License-Identifier: GPL-2.0-only
# Entry point: builds the library and the module, runs, tests and installs them.
# "make help" lists the targets. All output goes to $(O).

VERSION := $(shell cat VERSION)
O ?= $(CURDIR)/build
override O := $(abspath $(O))
# kbuild must not take our O for its own; sub-makes are handed theirs.
MAKEOVERRIDES := $(filter-out O=%,$(MAKEOVERRIDES))

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
# Where udev, modprobe and systemd's tools look, besides /etc.
CONFDIR ?= $(PREFIX)/lib
DKMS_SRC = /usr/src/hugespan-$(VERSION)
INSTALL ?= install

# Headers to build the module against: the running kernel's, else the newest.
KDIR ?= $(firstword $(wildcard /lib/modules/$(shell uname -r)/build) \
	$(shell ls -d /lib/modules/*/build 2>/dev/null | sort -rV))
KVER = $(shell sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h 2>/dev/null)
# kbuild puts objects beside sources: give each kernel a tree of links to them.
SHADOW = $(O)/kmod-$(KVER)
HUGESPAN_KUNIT ?=

export HUGESPAN_BUILD := $(O)
SUB := HSPAN_VERSION=$(VERSION) --no-print-directory

.PHONY: all lib module selftests deps run test test-matrix check bench
.PHONY: bench-kernel install uninstall clean help

all: lib $(if $(KDIR),module)

help:
	@echo 'make              the library, and the module where kernel headers are present'
	@echo 'make run          serve Redis clients from a collected heap, in a VM'
	@echo 'make run NATIVE=1 the same without VM and module'
	@echo 'make test         all tests; SUITES="name..." for some of selftests/suites.d'
	@echo 'make test-matrix  the module on each kernel it supports, a part of make test'
	@echo 'make check        static checks: warnings, sparse, clang-tidy, house rules'
	@echo 'make bench        figures'
	@echo 'make bench-kernel instructions of the module'"'"'s calls and faults; KERNELS="debian..."'
	@echo 'make lib module   one part; KDIR=... builds the module for another kernel'
	@echo 'make install      library, headers, man pages, hspan-cached, and settings for'
	@echo '                  udev, modprobe and systemd; PREFIX=$(PREFIX), DESTDIR='
	@echo 'make install-dkms the module through DKMS, for each kernel that gets installed'
	@echo 'make install-module  the module for one kernel, KDIR='
	@echo 'make uninstall    removes what these three have installed'
	@echo 'make clean'
	@echo 'make deps         the Debian packages all this takes (run, test and check do it)'

lib:
	@$(MAKE) -C userlib O=$(O)/userlib PREFIX=$(PREFIX) $(SUB) all examples

selftests: lib
	@$(MAKE) -C selftests O=$(O)/selftests $(SUB)

module:
	@test -n "$(KDIR)" || { echo 'no kernel headers: set KDIR='; exit 1; }
	@test -n "$(KVER)" || { echo '$(KDIR) is no built kernel tree'; exit 1; }
	@selftests/vm/shadow-tree $(SHADOW)
	@$(MAKE) --no-print-directory -C $(KDIR) M=$(SHADOW) \
		HUGESPAN_VERSION=$(VERSION) HUGESPAN_KUNIT=$(HUGESPAN_KUNIT) \
		$(MODULE_FLAGS) modules

deps:
	@selftests/deps all

run:
	@selftests/deps run
	@selftests/run/run.sh

test:
	@selftests/deps test
	@selftests/run-tests $(SUITES)

test-matrix:
	@selftests/deps test
	@selftests/run-tests 'matrix-*'

check:
	@selftests/deps check
	@selftests/run-checks

bench:
	@selftests/deps bench
	@$(MAKE) -C selftests O=$(O)/selftests $(SUB) run-bench

bench-kernel:
	@selftests/deps test
	@$(MAKE) -C selftests O=$(O)/selftests $(SUB) run-bench-kernel

MAN_PAGES := $(wildcard Documentation/man/*.[1-8])

install: lib
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 755 $(O)/userlib/libhugespan.so.0 $(DESTDIR)$(LIBDIR)/
	ln -sf libhugespan.so.0 $(DESTDIR)$(LIBDIR)/libhugespan.so
	$(INSTALL) -m 644 $(O)/userlib/libhugespan.a $(DESTDIR)$(LIBDIR)/
	$(INSTALL) -m 755 $(O)/userlib/libhugespan-malloc.so $(DESTDIR)$(LIBDIR)/
	[ ! -e $(O)/userlib/libhugespan-prof.so.0 ] || $(INSTALL) -m 755 \
		$(O)/userlib/libhugespan-prof.so.0 $(DESTDIR)$(LIBDIR)/
	[ ! -f $(O)/userlib/gc/libgc.so.1 ] || $(INSTALL) -D -m 755 \
		$(O)/userlib/gc/libgc.so.1 $(DESTDIR)$(LIBDIR)/hugespan/libgc.so.1
	$(INSTALL) -m 644 userlib/include/hugespan.h userlib/include/hugespan-inline.h \
		$(DESTDIR)$(INCLUDEDIR)/
	$(INSTALL) -D -m 644 uapi/linux/hugespan.h \
		$(DESTDIR)$(INCLUDEDIR)/linux/hugespan.h
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		userlib/hugespan.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/hugespan.pc
	$(INSTALL) -D -m 755 $(O)/userlib/hspan-cached \
		$(DESTDIR)$(BINDIR)/hspan-cached
	for page in $(MAN_PAGES); do \
		$(INSTALL) -D -m 644 $$page \
		$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit; done
	$(INSTALL) -D -m 644 kmod/dist/hugespan.rules \
		$(DESTDIR)$(CONFDIR)/udev/rules.d/60-hugespan.rules
	for what in sysusers modprobe tmpfiles; do \
		$(INSTALL) -D -m 644 kmod/dist/hugespan.$$what \
		$(DESTDIR)$(CONFDIR)/$$what.d/hugespan.conf || exit; done

install-modules-load:
	$(INSTALL) -D -m 644 kmod/dist/hugespan.modules-load \
		$(DESTDIR)$(CONFDIR)/modules-load.d/hugespan.conf

install-module: module install-modules-load
	$(MAKE) --no-print-directory -C $(KDIR) M=$(SHADOW) \
		INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates modules_install

DKMS_FILES = $(shell find Kbuild VERSION dkms.conf kmod/*.[ch] kmod/heap uapi \
	-type f -name '[!.]*')

install-dkms: install-modules-load
	for file in $(DKMS_FILES); do \
		$(INSTALL) -D -m 644 $$file $(DESTDIR)$(DKMS_SRC)/$$file || exit; done
	$(if $(DESTDIR),,dkms install hugespan/$(VERSION))

uninstall:
	$(if $(DESTDIR),,dkms remove hugespan/$(VERSION) --all 2>/dev/null || :)
	$(RM) -r $(DESTDIR)$(DKMS_SRC)
	$(RM) $(DESTDIR)/lib/modules/*/updates/hugespan.ko*
	$(RM) $(DESTDIR)$(LIBDIR)/libhugespan.so.0 $(DESTDIR)$(LIBDIR)/libhugespan.so
	$(RM) $(DESTDIR)$(LIBDIR)/libhugespan.a $(DESTDIR)$(LIBDIR)/libhugespan-malloc.so
	$(RM) $(DESTDIR)$(LIBDIR)/libhugespan-prof.so.0
	$(RM) $(DESTDIR)$(LIBDIR)/hugespan/libgc.so.1
	[ ! -d $(DESTDIR)$(LIBDIR)/hugespan ] || rmdir $(DESTDIR)$(LIBDIR)/hugespan
	$(RM) $(DESTDIR)$(LIBDIR)/pkgconfig/hugespan.pc
	$(RM) $(DESTDIR)$(INCLUDEDIR)/hugespan.h $(DESTDIR)$(INCLUDEDIR)/hugespan-inline.h
	$(RM) $(DESTDIR)$(INCLUDEDIR)/linux/hugespan.h
	$(RM) $(DESTDIR)$(BINDIR)/hspan-cached
	for page in $(MAN_PAGES); do \
		$(RM) $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done
	$(RM) $(DESTDIR)$(CONFDIR)/udev/rules.d/60-hugespan.rules
	for what in sysusers modprobe tmpfiles modules-load; do \
		$(RM) $(DESTDIR)$(CONFDIR)/$$what.d/hugespan.conf; done

clean:
	$(RM) -r $(O)

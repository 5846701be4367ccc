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
MANDIR ?= $(PREFIX)/share/man
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
	@echo 'make install      library, header and man pages; PREFIX=$(PREFIX), DESTDIR='
	@echo 'make uninstall clean'
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

# The module is DKMS's to install: see dkms.conf.
install: lib
	$(INSTALL) -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	$(INSTALL) -m 755 $(O)/userlib/libhugespan.so.0 $(DESTDIR)$(LIBDIR)/
	ln -sf libhugespan.so.0 $(DESTDIR)$(LIBDIR)/libhugespan.so
	$(INSTALL) -m 644 $(O)/userlib/libhugespan.a $(DESTDIR)$(LIBDIR)/
	$(INSTALL) -m 644 userlib/include/hugespan.h $(DESTDIR)$(INCLUDEDIR)/
	$(INSTALL) -D -m 644 uapi/linux/hugespan.h \
		$(DESTDIR)$(INCLUDEDIR)/linux/hugespan.h
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' \
		userlib/hugespan.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/hugespan.pc
	for page in $(wildcard Documentation/man/*.[1-8]); do \
		$(INSTALL) -D -m 644 $$page \
		$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit; done

uninstall:
	$(RM) $(DESTDIR)$(LIBDIR)/libhugespan.so.0 $(DESTDIR)$(LIBDIR)/libhugespan.so
	$(RM) $(DESTDIR)$(LIBDIR)/libhugespan.a
	$(RM) $(DESTDIR)$(LIBDIR)/pkgconfig/hugespan.pc
	$(RM) $(DESTDIR)$(INCLUDEDIR)/hugespan.h
	$(RM) $(DESTDIR)$(INCLUDEDIR)/linux/hugespan.h
	for page in $(wildcard Documentation/man/*.[1-8]); do \
		$(RM) $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}; done

clean:
	$(RM) -r $(O)

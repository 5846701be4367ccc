/* SPDX-License-Identifier: MIT */
/*
 * Static probes for tracers (USDT), a nop each and a note in the ELF file, where
 * <sys/sdt.h> is there when the library is built; nothing otherwise.
 * Documentation/observability.rst lists them.
 */
#ifndef HS_PROBES_H
#define HS_PROBES_H

#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define HS_PROBE1(name, a)    DTRACE_PROBE1(hugespan, name, a)
#define HS_PROBE2(name, a, b) DTRACE_PROBE2(hugespan, name, a, b)
#else
#define HS_PROBE1(name, a)    ((void)(a))
#define HS_PROBE2(name, a, b) ((void)(a), (void)(b))
#endif

#endif /* HS_PROBES_H */

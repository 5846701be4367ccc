/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the host tests of the heap share: a random generator, how a failed
 * check ends a program that has no test framework, staying on one CPU.
 */
#ifndef _HSPAN_SELFTEST_HEAP_HOST_H
#define _HSPAN_SELFTEST_HEAP_HOST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline void host_fail(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
	abort();
}

/* xorshift64*, good enough to mix calls and small enough to read. */
static inline uint32_t host_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * 0x2545f4914f6cdd1dULL) >> 32);
}

static inline uint32_t host_below(uint64_t *state, uint32_t below)
{
	return (uint32_t)(((uint64_t)host_random(state) * below) >> 32);
}

static inline void host_pin(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : (unsigned int)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

#endif /* _HSPAN_SELFTEST_HEAP_HOST_H */

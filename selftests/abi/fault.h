/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that are made with failures injected: what faultinject and faultsites
 * share.
 */
#ifndef HUGESPAN_FAULT_H
#define HUGESPAN_FAULT_H

#include <stdbool.h>

#include "abi.h"

#define FAULT_DEBUG	"/sys/kernel/debug/"
#define FAULT_NR_SPANS	64
#define FAULT_NR_KINDS	3

/**
 * struct fault_ctx - what a call under test works on
 * @fd: an arena, or -1
 * @held: spans it has in hand
 * @nr_held: how many
 */
struct fault_ctx {
	int fd;
	struct hspan_span held[FAULT_NR_SPANS];
	unsigned int nr_held;
};

#define FAULT_STARVE	1	/* also try it with no page to be had */
#define FAULT_ALONE	2	/* with no arena of ours */
#define FAULT_BY_SITE	4	/* more is done in it than the call to fail */
#define FAULT_LAST	8	/* takes long: only if all else does not do */

/**
 * struct fault_case - a call in which something can fail
 * @name: what is called
 * @flags: FAULT_*; not FAULT_STARVE where a page fault would wait for memory
 * @prepare: what has to be so before
 * @run: the call; -1 and errno if it failed
 */
struct fault_case {
	const char *name;
	unsigned int flags;
	void (*prepare)(struct fault_ctx *ctx);
	int (*run)(struct fault_ctx *ctx);
};

extern const struct fault_case fault_cases[];
extern const unsigned int fault_nr_cases;
extern const char * const fault_kinds[FAULT_NR_KINDS];

int fault_set(const char *name, const char *text);
int fault_arm_kernel(void);
void fault_begin(const struct fault_case *c, struct fault_ctx *ctx);
void fault_end(struct fault_ctx *ctx);
bool fault_is_told(int err);

#endif /* HUGESPAN_FAULT_H */

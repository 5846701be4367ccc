/* SPDX-License-Identifier: MIT */
/* What the process's memory cgroup allows, and what of that is left. */
#ifndef HS_CGROUP_H
#define HS_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct hs_cgroup - what the cgroups, ours and those above it, leave
 * @limit: bytes that the members of the one that leaves least may use
 * @soft: bytes of these that may still be taken, less a margin, before it is
 *	made slow or gets no more; may be negative
 * @hard: the same, before one gets no more; INT64_MAX where none has such a limit
 */
struct hs_cgroup {
	uint64_t limit;
	int64_t soft;
	int64_t hard;
};

/*
 * Look; false when no memory cgroup that we can see has a limit.  @prefix goes
 * before /proc and /sys, for tests.  One caller at a time.
 */
bool hs_cgroup_look(const char *prefix, struct hs_cgroup *cg);

/* Open a file of our own cgroup (v2); a descriptor or -1. */
int hs_cgroup_open(const char *prefix, const char *name, int flags);

#endif /* HS_CGROUP_H */

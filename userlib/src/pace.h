/* SPDX-License-Identifier: MIT */
/*
 * The pacer's arithmetic, without clock, thread or global: Documentation/pacer.rst
 * says why it settles, selftests/lib/pace.c shows it.
 */
#ifndef HS_PACE_H
#define HS_PACE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct hs_pace_rules - what the program and the machine ask for
 * @percent: growth over what is live; negative = none is too much
 * @pressure: the machine's need of memory, halves the percent for each level
 * @min_heap: goals are never below
 * @limit: bytes of blocks, 0 = none
 * @slack: bytes of blocks that are in use beyond the objects in them
 */
struct hs_pace_rules {
	int percent;
	unsigned int pressure;
	uint64_t min_heap;
	uint64_t limit;
	uint64_t slack;
};

/**
 * struct hs_pace_cycle - what a cycle was like
 * @now: when it ended, ns
 * @marked: bytes reached
 * @roots: bytes of roots and stacks looked at
 * @black: bytes allocated while it marked
 * @allocated: bytes allocated from its beginning to its end
 * @assisted: of @marked, by mutators
 * @ns: from its beginning to its end
 * @stalled_ns: for which mutators marked or waited, all together
 * @mutators: that allocated
 */
struct hs_pace_cycle {
	uint64_t now;
	uint64_t marked;
	uint64_t roots;
	uint64_t black;
	uint64_t allocated;
	uint64_t assisted;
	uint64_t ns;
	uint64_t stalled_ns;
	unsigned int mutators;
};

/**
 * struct hs_pace - what follows for the next cycle
 * @marked: bytes the last one reached
 * @roots: and of roots and stacks, where it began
 * @heap: bytes of the heap after it
 * @work: bytes the next one is expected to mark
 * @cons: bytes allocated for each that the markers mark, nobody being stalled
 * @reserve: the highest goal of late, and when it was last due
 * @goal: bytes at which the next cycle is to end
 * @trigger: bytes at which it begins
 * @ceiling: from here on it is waited for
 */
struct hs_pace {
	uint64_t marked;
	uint64_t roots;
	uint64_t heap;
	uint64_t work;
	double cons;
	uint64_t reserve;
	uint64_t reserve_at;
	uint64_t goal;
	uint64_t trigger;
	uint64_t ceiling;
};

void hs_pace_init(struct hs_pace *p, const struct hs_pace_rules *r);
void hs_pace_cycle_done(struct hs_pace *p, const struct hs_pace_rules *r,
			const struct hs_pace_cycle *c);

/* Other rules hold from @now on; with @afresh old goals are no excuse. */
void hs_pace_change(struct hs_pace *p, const struct hs_pace_rules *r, uint64_t now, bool afresh);

/*
 * How many bytes the cycle under way is behind its plan: it began at @start, the
 * heap is at @heap now, and @done bytes are marked.
 */
uint64_t hs_pace_behind(const struct hs_pace *p, uint64_t start, uint64_t heap, uint64_t done);

/**
 * struct hs_pace_cap - CPU time that collecting took beyond half of all
 * @at: when that was reckoned last
 * @over: ns; never below 0, and at most a second of each CPU
 */
struct hs_pace_cap {
	uint64_t at;
	uint64_t over;
};

/*
 * From the last time until @now collecting took @spent ns of @cpus CPUs.  Is it to take
 * nothing from mutators, as half is more than spent?
 */
bool hs_pace_is_capped(struct hs_pace_cap *c, uint64_t now, unsigned int cpus, uint64_t spent);

/* What a mutator that has taken @bytes owes of @behind. */
uint64_t hs_pace_share(const struct hs_pace *p, uint64_t start, uint64_t behind, uint64_t bytes);

#endif /* HS_PACE_H */

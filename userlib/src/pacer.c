// SPDX-License-Identifier: MIT
/*
 * The pacer: when a cycle starts, what the heap may grow to, and what a
 * mutator owes that allocates faster than the markers mark.
 *
 *	goal    = live + live * percent / 100, at least min_heap,
 *	          at most what the limit leaves
 *	trigger = live + 7/10 of (goal - live)
 *
 * where a level of pressure halves the percent.  From the goal on a mutator
 * pays for what it takes by marking.  A quarter and OVERDRAFT bytes over the
 * goal it waits, a millisecond for each refill at the most, parked: so memory
 * stays bounded when the collector is starved of CPU, and the collector gets
 * that CPU.
 *
 * Where the limit makes the goal, the trigger leaves room for as much as the
 * last cycle saw allocated, and half-way from goal to limit a mutator waits for
 * the cycle to end.
 *
 * Bytes are counted as runs are taken, by thread, and reported in batches.
 */
#include <string.h>

#include "mark.h"
#include "pacer.h"

#define CHARGE_BATCH (64u << 10)
#define OVERDRAFT (16ull << 20)	/* bytes over the goal that are always borne */
#define ASSIST_WORDS_PER_BYTE 2 /* of work for each byte over the goal's plan */

/**
 * struct pacer - written by relaxed atomics, read at leisure
 * @percent: growth, or negative for never
 * @limit: bytes of blocks, 0 = none
 * @pressure: 0 none, 1, 2
 * @live: marked by the last cycle, and allocated black during it
 * @black: of these, the latter
 * @slack: bytes of blocks in use beyond @live when it had been swept
 * @heap: @live and what was allocated since
 * @goal, @trigger: see above
 * @ceiling: from here on a cycle that is under way is waited for
 * @total: ever allocated
 * @assist_ns: time mutators spent marking
 */
static struct {
	int percent;
	unsigned int pressure;
	uint64_t limit;
	uint64_t live;
	uint64_t black;
	uint64_t slack;
	uint64_t heap;
	uint64_t goal;
	uint64_t trigger;
	uint64_t ceiling;
	uint64_t total;
	uint64_t assist_ns;
	uint64_t assist_bytes;
	uint64_t assist_objects;
} pacer;

/* What the percent alone makes of it. */
static uint64_t free_goal(uint64_t live)
{
	int percent = hs_load(&pacer.percent);
	uint64_t goal;

	if (percent < 0)
		return UINT64_MAX;
	goal = live + live / 100 * ((unsigned int)percent >> hs_load(&pacer.pressure));
	return goal < hs.config.min_heap ? hs.config.min_heap : goal;
}

/* Objects that fit below the limit: spans are never quite full. */
static uint64_t limit_goal(uint64_t limit)
{
	uint64_t slack = hs_load(&pacer.slack) / 2;

	if (!limit)
		return UINT64_MAX;
	if (slack < limit / 16)
		slack = limit / 16;
	return slack < limit ? limit - slack : 0;
}

static uint64_t trigger_for(uint64_t live, uint64_t goal, bool limited)
{
	uint64_t usual = live + (goal - live) / 10 * 7;
	uint64_t early = live + (goal - live) / 4;
	uint64_t black = hs_load(&pacer.black);

	if (!limited || black <= goal - usual)
		return usual;
	return black < goal - early ? goal - black : early;
}

static void set_goal(void)
{
	uint64_t live = hs_load(&pacer.live), limit = hs_load(&pacer.limit);
	uint64_t most = limit_goal(limit), goal = free_goal(live);
	bool limited = most < goal;

	if (limited)
		goal = most;
	if (goal == UINT64_MAX) {
		hs_set(&pacer.goal, UINT64_MAX);
		hs_set(&pacer.trigger, UINT64_MAX);
		hs_set(&pacer.ceiling, UINT64_MAX);
		return;
	}
	if (goal < live + live / 20) /* over the limit: slow, but not for ever collecting */
		goal = live + live / 20;
	hs_set(&pacer.goal, goal);
	hs_set(&pacer.trigger, trigger_for(live, goal, limited));
	hs_set(&pacer.ceiling, !limit ? UINT64_MAX : goal < limit ? goal + (limit - goal) / 2 : goal);
}

void hs_pacer_init(int percent)
{
	memset(&pacer, 0, sizeof(pacer));
	pacer.percent = percent;
	set_goal();
}

/*
 * A thread takes @bytes more.  Exact figures wait in the thread until they
 * are worth an atomic addition.
 */
void hs_pacer_charge(struct hs_thread *t, uint64_t bytes)
{
	t->charged += bytes;
	if (t->charged >= CHARGE_BATCH)
		hs_pacer_settle(t);
}

void hs_pacer_settle(struct hs_thread *t)
{
	hs_add(&pacer.heap, t->charged);
	hs_add(&pacer.total, t->charged);
	t->charged = 0;
}

void hs_pacer_refund(uint64_t bytes)
{
	uint64_t heap = hs_load(&pacer.heap);

	while (!__atomic_compare_exchange_n(&pacer.heap, &heap, heap > bytes ? heap - bytes : 0, 0,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

bool hs_pacer_wants_cycle(void)
{
	return hs_load(&pacer.heap) >= hs_load(&pacer.trigger);
}

uint64_t hs_pacer_heap(void)
{
	return hs_load(&pacer.heap);
}

/* A cycle has marked @marked bytes; @black were allocated while it did. */
void hs_pacer_cycle_done(uint64_t marked, uint64_t black)
{
	hs_set(&pacer.live, marked + black);
	hs_set(&pacer.black, black);
	hs_set(&pacer.heap, marked + black);
	set_goal();
}

/* After the sweep @used bytes of blocks are in use. */
void hs_pacer_swept(uint64_t used)
{
	uint64_t live = hs_load(&pacer.live);

	hs_set(&pacer.slack, used > live ? used - live : 0);
	set_goal();
}

/* Bytes of blocks worth keeping until the next cycle ends. */
uint64_t hs_pacer_retain(void)
{
	uint64_t goal = hs_load(&pacer.goal), limit = hs_load(&pacer.limit), keep;

	if (hs_load(&pacer.pressure))
		return 0;
	keep = goal == UINT64_MAX ? goal : goal + goal / 10;
	return limit && limit < keep ? limit : keep;
}

/* Has enough been allocated since the last cycle for another to be worth it? */
bool hs_pacer_grown(void)
{
	uint64_t live = hs_load(&pacer.live);

	return hs_load(&pacer.heap) > live + live / 16;
}

/* The heap is so near its limit that the cycle under way has to end first. */
bool hs_pacer_at_ceiling(void)
{
	return hs_load(&pacer.heap) >= hs_load(&pacer.ceiling);
}

/*
 * The heap is so far past its goal that assists cannot make up for it: the
 * collector does not get the time it needs, and has to be waited for.
 */
bool hs_pacer_overdrawn(void)
{
	uint64_t goal = hs_load(&pacer.goal);

	return hs_load(&pacer.heap) > goal + goal / 4 + OVERDRAFT && goal != UINT64_MAX;
}

/*
 * The heap has passed its goal while a mark phase runs: pay for the batch just
 * taken by marking.  Out of any critical section but its own.
 */
void hs_pacer_assist(uint64_t bytes)
{
	struct hs_marker m = { 0 };
	uint64_t start;

	if (!hs_collector_marks() || hs_load(&pacer.heap) < hs_load(&pacer.goal))
		return;
	start = hs_now();
	hs_enter();
	hs_collector_assist(&m, bytes / 8 * ASSIST_WORDS_PER_BYTE);
	hs_leave();
	hs_add(&pacer.assist_ns, hs_now() - start);
	hs_add(&pacer.assist_bytes, m.bytes);
	hs_add(&pacer.assist_objects, m.objects);
}

void hs_pacer_take_assisted(uint64_t *bytes, uint64_t *objects)
{
	*bytes = __atomic_exchange_n(&pacer.assist_bytes, 0, __ATOMIC_RELAXED);
	*objects = __atomic_exchange_n(&pacer.assist_objects, 0, __ATOMIC_RELAXED);
}

int hs_pacer_set_percent(int percent)
{
	int old = __atomic_exchange_n(&pacer.percent, percent, __ATOMIC_RELAXED);

	set_goal();
	return old;
}

/* What limit.c found out: bytes of blocks, 0 = none. */
void hs_pacer_set_limit(uint64_t bytes)
{
	if (__atomic_exchange_n(&pacer.limit, bytes, __ATOMIC_RELAXED) != bytes)
		set_goal();
}

/* The machine's need of memory. */
void hs_pacer_set_pressure(unsigned int level)
{
	if (__atomic_exchange_n(&pacer.pressure, level, __ATOMIC_RELAXED) != level)
		set_goal();
}

void hs_pacer_stats(struct hspan_stats *stats)
{
	stats->heap_live = hs_load(&pacer.live);
	stats->heap_alloc = hs_load(&pacer.heap);
	stats->heap_goal = hs_load(&pacer.goal);
	stats->total_alloc = hs_load(&pacer.total);
	stats->assist_ns = hs_load(&pacer.assist_ns);
	stats->pressure = hs_load(&pacer.pressure);
}

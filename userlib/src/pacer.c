// SPDX-License-Identifier: MIT
/*
 * The pacer: counts what is allocated and marked, tells when a cycle begins,
 * and has mutators mark that allocate faster than the markers do.
 *
 * pace.c reckons goal, trigger and debts; here are clock, threads and atomics.
 * From the goal on, and a little, a mutator waits, a millisecond for each refill
 * at the most, parked: so memory stays bounded when the collector is starved of
 * CPU, and the collector gets that CPU.  Half-way from goal to a limit it waits
 * for the cycle to end.
 *
 * Bytes are counted as runs are taken, by thread, and reported in batches.
 */
#include <string.h>

#include "mark.h"
#include "pace.h"
#include "pacer.h"
#include "share.h"
#include "timed.h"

#define CHARGE_BATCH (64u << 10)
#define OVERDRAFT (512u << 10) /* bytes over the goal and its 64th that are always borne */

/**
 * struct pacer - all but @pace is read and written with atomics
 * @lock: protects @pace and @rules; taken in critical sections only
 * @rules, @pace: see pace.h
 * @goal, @trigger, @ceiling, @work: published from @pace
 * @live: marked by the last cycle, and allocated black during it
 * @heap: @live and what was allocated since
 * @total: ever allocated
 * @cycle: number of the cycle, for counting @mutators once
 * @mutators: that have reported since it began
 * @start, @start_ns: heap and time when it began
 * @roots: bytes of stacks and roots looked at in it
 * @done: bytes marked in it; @assisted of them by mutators
 * @stalled_ns: for which mutators marked or waited in it
 * @cap, @capped, @spent_ns: hs_pace_is_capped()'s, the collector's alone; what it said;
 *	what it has not been told
 * @assist_ns: time mutators ever spent marking
 * @assist_bytes, @assist_objects: marked by them and not yet taken
 */
static struct {
	pthread_mutex_t lock;
	struct hs_pace_rules rules;
	struct hs_pace pace;
	uint64_t goal, trigger, ceiling, work;
	uint64_t live;
	uint64_t heap;
	uint64_t total;
	uint32_t cycle;
	unsigned int mutators;
	uint64_t start, start_ns;
	uint64_t roots;
	uint64_t done, assisted;
	uint64_t stalled_ns;
	struct hs_pace_cap cap;
	bool capped;
	uint64_t spent_ns;
	uint64_t assist_ns;
	uint64_t assist_bytes;
	uint64_t assist_objects;
} pacer = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* In a fork()ed child who holds the lock may not exist. */
static void lock(void)
{
	hs_enter();
	if (!hs.forked)
		pthread_mutex_lock(&pacer.lock);
}

static void unlock(void)
{
	if (!hs.forked)
		pthread_mutex_unlock(&pacer.lock);
	hs_leave();
}

static void publish_and_unlock(void)
{
	hs_set(&pacer.goal, pacer.pace.goal);
	hs_set(&pacer.trigger, pacer.pace.trigger);
	hs_set(&pacer.ceiling, pacer.pace.ceiling);
	hs_set(&pacer.work, pacer.pace.work);
	unlock();
}

void hs_pacer_init(int percent)
{
	lock();
	pacer.live = pacer.heap = pacer.total = pacer.assist_ns = 0;
	pacer.assist_bytes = pacer.assist_objects = pacer.spent_ns = 0;
	pacer.cap = (struct hs_pace_cap){ .at = hs_now() };
	pacer.capped = false;
	pacer.rules = (struct hs_pace_rules){ .percent = percent, .min_heap = hs.config.min_heap };
	hs_pace_init(&pacer.pace, &pacer.rules);
	publish_and_unlock();
}

/*
 * A thread takes @bytes more.  Exact figures wait in the thread until they
 * are worth an atomic addition.
 */
void hs_pacer_charge(struct hs_thread *t, uint64_t bytes)
{
	t->owing += bytes;
	t->charged += bytes;
	if (t->charged >= CHARGE_BATCH)
		hs_pacer_settle(t);
}

void hs_pacer_settle(struct hs_thread *t)
{
	uint32_t cycle = hs_load(&pacer.cycle);

	if (t->paced != cycle) {
		t->paced = cycle;
		hs_add(&pacer.mutators, 1);
	}
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

uint64_t hs_pacer_total(void)
{
	return hs_load(&pacer.total);
}

/* A cycle begins. */
void hs_pacer_begin(void)
{
	hs_add(&pacer.cycle, 1);
	hs_set(&pacer.mutators, 0);
	hs_set(&pacer.stalled_ns, 0);
	hs_set(&pacer.assisted, 0);
	hs_set(&pacer.done, 0);
	hs_set(&pacer.roots, 0);
	hs_set(&pacer.start_ns, hs_now());
	hs_set(&pacer.start, hs_load(&pacer.heap));
}

/* Markers have marked @bytes more. */
void hs_pacer_marked(uint64_t bytes)
{
	hs_add(&pacer.done, bytes);
}

/* Markers, the sweep, or mutators that assist took @ns of CPU time. */
void hs_pacer_spent(uint64_t ns)
{
	hs_add(&pacer.spent_ns, ns);
}

/* By the collector: may more be taken from mutators? */
void hs_pacer_look_at_cap(void)
{
	uint64_t spent = __atomic_exchange_n(&pacer.spent_ns, 0, __ATOMIC_RELAXED);

	hs_set(&pacer.capped, hs_pace_is_capped(&pacer.cap, hs_now(), hs_share_cpus(), spent));
}

/* Collecting takes half of the CPUs or more: mutators are to be left alone. */
bool hs_pacer_is_capped(void)
{
	return hs_load(&pacer.capped);
}

/* So many bytes of a stack or of roots had to be looked at. */
void hs_pacer_roots(uint64_t bytes)
{
	hs_add(&pacer.roots, bytes);
}

uint64_t hs_pacer_roots_seen(void)
{
	return hs_load(&pacer.roots);
}

/* Mutators marked or waited for @ns. */
void hs_pacer_stalled(uint64_t ns)
{
	hs_add(&pacer.stalled_ns, ns);
}

/*
 * The cycle has marked @marked bytes; @black were allocated while it did, and
 * when it ended the heap was at @end.
 */
void hs_pacer_cycle_done(uint64_t marked, uint64_t black, uint64_t end)
{
	uint64_t start = hs_load(&pacer.start);
	struct hs_pace_cycle c = {
		.now = hs_now(),
		.marked = marked,
		.roots = hs_load(&pacer.roots),
		.black = black,
		.allocated = end > start ? end - start : 0,
		.assisted = hs_load(&pacer.assisted),
		.stalled_ns = hs_load(&pacer.stalled_ns),
		.mutators = hs_load(&pacer.mutators),
	};

	c.ns = c.now - hs_load(&pacer.start_ns);
	lock();
	hs_set(&pacer.live, marked + black);
	if (end > marked + black)
		hs_pacer_refund(end - marked - black);
	else
		hs_add(&pacer.heap, marked + black - end);
	hs_pace_cycle_done(&pacer.pace, &pacer.rules, &c);
	publish_and_unlock();
}

/* After the sweep @used bytes of blocks are in use. */
void hs_pacer_swept(uint64_t used)
{
	uint64_t live = hs_load(&pacer.live);

	lock();
	pacer.rules.slack = used > live ? used - live : 0;
	hs_pace_change(&pacer.pace, &pacer.rules, hs_now(), false);
	publish_and_unlock();
}

/* Bytes of blocks worth keeping until the next cycle ends. */
uint64_t hs_pacer_retain(void)
{
	uint64_t keep = hs_load(&pacer.goal), limit;
	unsigned int pressure;

	lock();
	limit = pacer.rules.limit;
	pressure = pacer.rules.pressure;
	unlock();
	if (pressure)
		return 0;
	if (keep != UINT64_MAX)
		keep += keep / 10;
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

	return goal != UINT64_MAX && hs_load(&pacer.heap) > goal + goal / 64 + OVERDRAFT;
}

/* Has so much been taken that no block may be added while spans are unswept? */
bool hs_pacer_is_full(uint64_t held)
{
	return held >= hs_load(&pacer.goal);
}

/*
 * A mark phase runs: where it is behind its plan, pay for what was taken since
 * the last time by marking.  Out of any critical section but its own.
 */
void hs_pacer_assist(struct hs_thread *t)
{
	const struct hs_pace p = { .goal = hs_load(&pacer.goal), .work = hs_load(&pacer.work) };
	uint64_t start = hs_load(&pacer.start), bytes = t->owing, behind, begun, ns;
	struct hs_marker m = { .member = HS_NO_MEMBER };

	if (!hs_collector_marks() || hs_pacer_is_capped())
		return;
	behind = hs_pace_behind(&p, start, hs_load(&pacer.heap), hs_load(&pacer.done));
	if (!behind)
		return;
	begun = hs_now();
	hs_enter();
	hs_collector_assist(&m, hs_pace_share(&p, start, behind, bytes) / 8);
	hs_leave();
	ns = hs_now() - begun;
	hs_timed(HS_TIMED_ASSIST, ns);
	hs_add(&pacer.done, m.bytes);
	hs_add(&pacer.assisted, m.bytes);
	hs_add(&pacer.stalled_ns, ns);
	hs_add(&pacer.assist_ns, ns);
	hs_pacer_spent(ns);
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
	int old;

	lock();
	old = pacer.rules.percent;
	pacer.rules.percent = percent;
	hs_pace_change(&pacer.pace, &pacer.rules, hs_now(), true);
	publish_and_unlock();
	return old;
}

/* What limit.c found out: bytes of blocks, 0 = none. */
void hs_pacer_set_limit(uint64_t bytes)
{
	lock();
	if (pacer.rules.limit != bytes) {
		pacer.rules.limit = bytes;
		hs_pace_change(&pacer.pace, &pacer.rules, hs_now(), false);
	}
	publish_and_unlock();
}

/* The machine's need of memory. */
void hs_pacer_set_pressure(unsigned int level)
{
	lock();
	if (pacer.rules.pressure != level) {
		pacer.rules.pressure = level;
		hs_pace_change(&pacer.pace, &pacer.rules, hs_now(), true);
	}
	publish_and_unlock();
}

/* How the cycle went, and when the next is to begin. */
void hs_pacer_trace(void)
{
	const double mib = 1 << 20;

	hs_log("hugespan: pacer: began at %.1f MiB, marked %.1f MiB, %.1f by mutators, that were "
	       "held up %.3f ms; live %.1f MiB, next at %.1f MiB, goal %.1f MiB\n",
	       (double)hs_load(&pacer.start) / mib, (double)hs_load(&pacer.done) / mib,
	       (double)hs_load(&pacer.assisted) / mib, (double)hs_load(&pacer.stalled_ns) / 1e6,
	       (double)hs_load(&pacer.live) / mib, (double)hs_load(&pacer.trigger) / mib,
	       (double)hs_load(&pacer.goal) / mib);
}

void hs_pacer_stats(struct hspan_stats *stats)
{
	stats->heap_live = hs_load(&pacer.live);
	stats->heap_alloc = hs_load(&pacer.heap);
	stats->heap_goal = hs_load(&pacer.goal);
	stats->total_alloc = hs_load(&pacer.total);
	stats->assist_ns = hs_load(&pacer.assist_ns);
	lock();
	stats->pressure = pacer.rules.pressure;
	unlock();
}

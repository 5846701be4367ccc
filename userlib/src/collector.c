// SPDX-License-Identifier: MIT
/*
 * The collector thread: the row of handshakes that makes a cycle, marking
 * between them with its helpers, and the background sweep after them.
 *
 * internal.h says why the row is right; this file only walks it.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "final.h"
#include "limit.h"
#include "mark.h"
#include "pacer.h"
#include "probes.h"
#include "profile.h"
#include "spans.h"
#include "stack.h"
#include "timed.h"
#include "trace.h"

#define IDLE_NS 50000	   /* a marker without work looks again */
#define SPINS 1000	   /* about 20 us on most CPUs */
#define YIELD_NS 1000000 /* the most a mutator waits in one refill */
#define TELL_WORDS (64u << 10) /* scanned before the pacer hears of it */
#define BLOCK_OF(bytes) ((bytes) >> HSPAN_BLOCK_SHIFT)

/**
 * struct collector - the collector thread and its helpers
 * @requested: the pacer wants a cycle
 * @wanted: number of the last cycle that somebody waits for
 * @started, @done: cycles
 * @wake, @finished: futexes that move with the above
 * @nr_helpers: as created
 *
 * All but the threads are read and written with atomics.
 */
static struct {
	pthread_t thread;
	pthread_t helper[HS_MAX_MARKERS];
	unsigned int nr_helpers;
	int stop;
	int requested;
	int busy;
	uint64_t wanted, started, done;
	int wake, finished;
	uint64_t bytes, objects; /* marked by helpers in this cycle */
	uint64_t yield_ns; /* mutators waited for the collector */
	uint64_t num_forced, mark_ns, mark_cpu_ns, sweep_cpu_ns, cycle_max_ns, released;
	uint64_t born;
} gc;

static void raise_u64(uint64_t *max, uint64_t value)
{
	uint64_t old = hs_load(max);

	while (value > old && !__atomic_compare_exchange_n(max, &old, value, 0, __ATOMIC_SEQ_CST,
							   __ATOMIC_RELAXED))
		;
}

static void wake_collector(void)
{
	__atomic_fetch_add(&gc.wake, 1, __ATOMIC_SEQ_CST);
	hs_futex_wake(&gc.wake, 1);
}

/* Start a cycle, if none is under way; does not wait. */
void hs_collector_request(void)
{
	if (hs_load(&gc.busy) || hs_load(&gc.requested))
		return;
	if (!__atomic_exchange_n(&gc.requested, 1, __ATOMIC_SEQ_CST))
		wake_collector();
}

/* Wait for a cycle that starts from now on to be over, its sweep included. */
void hs_collect(void)
{
	uint64_t want = __atomic_load_n(&gc.started, __ATOMIC_SEQ_CST) + 1;
	int seen;

	if (!hs.ready || hs.forked)
		return;
	raise_u64(&gc.wanted, want);
	wake_collector();
	hspan_thread_park();
	for (;;) {
		seen = __atomic_load_n(&gc.finished, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&gc.done, __ATOMIC_SEQ_CST) >= want)
			break;
		hs_futex_wait(&gc.finished, seen, 0);
	}
	hspan_thread_unpark();
}

/*
 * Let the collector have this CPU for a while, or until the cycle is over; with
 * @to_the_end only that ends it.  False if there is no cycle.
 */
bool hs_collector_yield(bool to_the_end)
{
	uint64_t start = hs_now();
	int seen = __atomic_load_n(&gc.finished, __ATOMIC_SEQ_CST);

	if (!__atomic_load_n(&gc.busy, __ATOMIC_SEQ_CST))
		return false;
	hspan_thread_park();
	do {
		hs_futex_wait(&gc.finished, seen, YIELD_NS);
	} while (to_the_end && __atomic_load_n(&gc.finished, __ATOMIC_SEQ_CST) == seen);
	hspan_thread_unpark();
	start = hs_now() - start;
	hs_add(&gc.yield_ns, start);
	hs_timed(HS_TIMED_WAIT, start);
	hs_pacer_stalled(start);
	return true;
}

HS_EXPORT void hspan_gc(void)
{
	if (hs_thread_join())
		hs_collect();
}

/* Markers ----------------------------------------------------------------- */

/* Is there marking to be done, and so mark bits that count? */
bool hs_collector_marks(void)
{
	return hs_team_is_open();
}

/* A mutator marks about @words words.  In a critical section. */
void hs_collector_assist(struct hs_marker *m, uint64_t words)
{
	if (hs_work_empty()) {
		hs_team_want(HS_WANT_WORDS); /* there will be some next time */
		return;
	}
	if (hs_team_enter()) {
		hs_mark_drain(m, words);
		hs_mark_hand_back(m);
	}
	hs_team_leave();
}

/* Does somebody wait for the cycle under way?  Then it is not to rest. */
static bool is_awaited(void)
{
	return hs_load(&gc.wanted) > hs_load(&gc.done);
}

/* Mark what there is, keep the pacer informed, and take no more CPU than is due. */
static void mark_all(struct hs_marker *m)
{
	uint64_t told = m->bytes, cpu = hs_cpu_now(), now;
	bool over;

	do {
		over = hs_mark_drain(m, TELL_WORDS);
		hs_pacer_marked(m->bytes - told);
		told = m->bytes;
		now = hs_cpu_now();
		hs_pacer_spent(now - cpu);
		cpu = now;
		if (!m->member)
			hs_pacer_look_at_cap();
		if (!is_awaited())
			hs_share_look(&m->share, hs_team_size());
	} while (!over);
}

static bool has_work(unsigned int member)
{
	return !hs_work_empty() || hs_team_has_mail(member);
}

/* Nothing is left to do here: look for some time whether others give work, then sleep. */
static void starve(unsigned int member, int seq)
{
	hs_team_want(1ull << member);
	for (int i = 0; i < SPINS && !has_work(member); i++)
		hs_cpu_relax();
	if (!has_work(member))
		hs_work_wait(seq, IDLE_NS);
	hs_team_want_no_more(1ull << member);
}

/* Mark while there is something to mark; false when it is not the time for it. */
static bool help_marking(struct hs_marker *m)
{
	bool open = hs_team_enter();

	if (open) {
		mark_all(m);
		hs_mark_hand_back(m);
		hs_add(&gc.bytes, m->bytes);
		hs_add(&gc.objects, m->objects);
		m->bytes = m->objects = 0;
	}
	hs_team_leave();
	return open;
}

static void *help(void *arg)
{
	unsigned int member = (unsigned int)(uintptr_t)arg;
	struct hs_marker m = { .member = member, .spans = hs_spans_of(member) };
	uint64_t cpu = hs_cpu_now(), now;
	int seq;

	hs_share_begin(&m.share);
	while (seq = hs_work_seq(), !hs_load_acquire(&gc.stop)) {
		if (help_marking(&m))
			starve(member, seq);
		else /* the list may have something: stacks, which are scanned one by one */
			hs_work_sleep(seq);
		now = hs_cpu_now();
		hs_add(&gc.mark_cpu_ns, now - cpu);
		cpu = now;
	}
	return NULL;
}

/* Mark until there is nothing to mark, on the work list or in others' hands. */
void hs_collector_drain(struct hs_marker *m)
{
	for (;;) {
		int seq = hs_work_seq();

		mark_all(m);
		if (has_work(m->member))
			continue;
		if (hs_team_is_idle())
			return;
		starve(m->member, seq);
	}
}

/*
 * Mark to the end: a round of DRAIN in which no thread gave anything white
 * and nothing was pushed.
 */
static void mark_to_the_end(struct hs_marker *m)
{
	uint64_t pushes;

	do {
		hs_collector_drain(m);
		hs_weak_open();
		if (unlikely(hs.config.debug & HS_DEBUG_BREAK_TERMINATION))
			return;
		pushes = hs_work_pushes();
		if (!hs_work_empty() || !hs_team_is_idle())
			continue;
		hs_handshake(HS_DRAIN);
		if (!hs_handshake_given() && hs_work_pushes() == pushes && hs_work_empty())
			return;
	} while (true);
}

/* To the end for all that the program can reach; then what it cannot is decided about. */
static void mark_and_settle(struct hs_marker *m, struct hs_cycle *c)
{
	bool more;

	do {
		mark_to_the_end(m);
		more = hs_ephemerons_mark(m);
	} while (more || !hs_weak_close());
	c->settling = hs_now();
	hs_final_settle(m);
}

/* Only now: no object is scanned before every stack has been. */
static void open_marking(void)
{
	gc.bytes = gc.objects = 0;
	hs_team_open();
	hs_work_wake();
}

/* Who came in since all was marked has garbage at most: it is marked, too. */
static void close_marking(struct hs_marker *m)
{
	while (!hs_team_close())
		hs_collector_drain(m);
	hs_spans_forget();
}

/* The cycle --------------------------------------------------------------- */

/* Mark the heap while threads change it. */
static void mark_along(struct hs_marker *m, struct hs_cycle *c)
{
	hs_weak_open(); /* no read is under way that began when it was open before */
	hs_handshake(HS_SCAN);
	c->scanned = hs_now();
	hs_share_begin(&m->share);
	open_marking();
	hs_roots_scan();
	hs_stacks_scan();
	mark_and_settle(m, c);
	close_marking(m);
	hs_mark_hand_back(m);
}

static void mark(struct hs_cycle *c)
{
	struct hs_marker m = { .spans = hs_spans_of(0) };
	uint64_t cpu = hs_cpu_now(), assisted, objects;

	hs_pools_age();
	hs_set(&hs.marking, true);
	hs_handshake(HS_BARRIER);
	hs_sweep_all();
	hs_work_reset(); /* what the last cycle left; nobody is black yet */
	hs_set_release(&hs.black_gen, hs_sweepgen());
	c->heap_before = hs_pacer_heap();
	hs_pacer_take_assisted(&assisted, &objects);
	if (hs.config.gc_mode == HSPAN_GC_SNAPSHOT) {
		c->scanned = hs_now();
		hs_snapshot_mark(&m);
		c->settling = hs_now();
	} else {
		mark_along(&m, c);
	}
	if (hs.config.debug & HSPAN_DEBUG_CHECKMARK)
		hs_checkmark();
	hs_profile_marked();
	if (hs.hooks)
		hs.hooks->end();
	c->heap_after = hs_pacer_heap();
	c->black = c->heap_after > c->heap_before ? c->heap_after - c->heap_before : 0;
	hs_set(&hs.marking, false);
	hs_pacer_take_assisted(&assisted, &objects);
	c->marked = m.bytes + gc.bytes + assisted;
	c->objects = m.objects + gc.objects + objects;
	hs_add(&gc.mark_cpu_ns, hs_cpu_now() - cpu);
}

/* All was swept before SCAN, so there is nothing that could be in the way. */
static void move_sweepgen(void)
{
	uint32_t gen;
	int ret = hs.backend->cycle(&gen);

	if (ret < 0)
		hs_die("hugespan: the %s backend refused a cycle: errno %d\n", hs.backend->name,
		       -ret);
}

/* Give up to @blocks free ones back to the system; returns bytes. */
uint64_t hs_release_blocks(uint64_t blocks)
{
	int64_t n;

	hs_enter();
	n = hs.backend->release(blocks);
	hs_leave();
	if (n <= 0)
		return 0;
	HS_PROBE1(release, n);
	if (hs_traces(HSPAN_TRACE_SCAVENGE))
		hs_trace_scavenge(blocks, (uint64_t)n << HSPAN_BLOCK_SHIFT);
	hs_add(&gc.released, (uint64_t)n << HSPAN_BLOCK_SHIFT);
	return (uint64_t)n << HSPAN_BLOCK_SHIFT;
}

/* Give back whole blocks beyond what the next cycle is going to need. */
static void scavenge(void)
{
	uint64_t held = hs_load(&hs.space.control->blocks_held);
	uint64_t keep = hs_pacer_retain(), more;

	if (keep == UINT64_MAX)
		return;
	more = BLOCK_OF(keep) + (keep ? 1 : 0);
	if (held > more)
		hs_release_blocks(held - more);
}

static uint64_t used_bytes(void)
{
	const volatile struct hspan_control *c = hs.space.control;
	uint64_t held = hs_load(&c->blocks_held), unused = hs_load(&c->blocks_free);

	return held > unused ? (held - unused) << HSPAN_BLOCK_SHIFT : 0;
}

/* @flush: what is free counts also in spans that threads hold. */
static void sweep(bool flush)
{
	uint64_t cpu = hs_cpu_now(), start = hs_now(), spans = hs_sweep_count();

	if (flush)
		hs_handshake(HS_FLUSH);
	hs_sweep_all();
	if (hs_traces(HSPAN_TRACE_SWEEP))
		hs_trace_sweep(hs_sweep_count() - spans, hs_now() - start);
	hs_stacks_trim();
	hs_pacer_swept(used_bytes());
	hs_limit_look(false);
	scavenge();
	cpu = hs_cpu_now() - cpu;
	hs_add(&gc.sweep_cpu_ns, cpu);
	hs_pacer_spent(cpu);
	hs_pacer_look_at_cap();
}

static void mark_and_sweep(struct hs_cycle *c, bool idle)
{
	HS_PROBE1(gc__start, gc.started);
	hs_pacer_begin();
	mark(c);
	c->end = hs_now();
	hs_timed(HS_TIMED_MARK, c->end - c->start);
	move_sweepgen();
	hs_pacer_cycle_done(c->marked, c->black, c->heap_after);
	hs_futex_wake(&gc.finished, INT_MAX); /* who waited for that may go on */
	sweep(c->forced || idle);
	hs_add(&gc.mark_ns, c->end - c->start);
	hs_add(&gc.num_forced, c->forced);
	raise_u64(&gc.cycle_max_ns, hs_now() - c->start);
	hs_timed(HS_TIMED_CYCLE, hs_now() - c->start);
	if (hs_traces(HSPAN_TRACE_GC))
		hs_trace_gc(c);
	if (hs_traces(HSPAN_TRACE_PACER))
		hs_pacer_trace();
}

/* @idle: nobody waits, but spans that threads hold are better given back. */
static void cycle(bool idle)
{
	struct hs_cycle c = { .start = hs_now() };

	c.forced = __atomic_load_n(&gc.wanted, __ATOMIC_SEQ_CST) > gc.started;
	__atomic_store_n(&gc.busy, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&gc.requested, 0, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&gc.started, 1, __ATOMIC_SEQ_CST);
	if (!hs.hooks || hs.hooks->begin())
		mark_and_sweep(&c, idle);
	__atomic_store_n(&gc.busy, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&gc.done, gc.started, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&gc.finished, 1, __ATOMIC_SEQ_CST);
	hs_futex_wake(&gc.finished, INT_MAX);
}

static bool have_reason(void)
{
	return __atomic_load_n(&gc.requested, __ATOMIC_SEQ_CST) ||
	       __atomic_load_n(&gc.wanted, __ATOMIC_SEQ_CST) > gc.started;
}

uint64_t hs_idle_ns = 10000000000ull;

/* Nobody has allocated since @total: so garbage goes, and next time what is free. */
static void relax(uint64_t *total)
{
	uint64_t now = hs_pacer_total();

	if (now != *total)
		*total = now;
	else if (hs_pacer_grown() && hs_pacer_retain() != UINT64_MAX)
		cycle(true);
	else if (hs_pacer_retain() != UINT64_MAX && hs_load(&hs.space.control->blocks_free))
		hs_release_blocks(UINT64_MAX);
}

static void *collect(void *arg)
{
	uint64_t total = 0;

	(void)arg;
	while (!hs_load_acquire(&gc.stop)) {
		int seen = __atomic_load_n(&gc.wake, __ATOMIC_SEQ_CST);

		if (have_reason())
			cycle(false);
		else if (!hs_load_acquire(&gc.stop) &&
			 hs_futex_wait(&gc.wake, seen, (long)hs_idle_ns) && errno == ETIMEDOUT)
			relax(&total);
	}
	return NULL;
}

/* Threads ----------------------------------------------------------------- */

/* A thread of the library's: no signal of the program's is for it. */
int hs_start_thread(pthread_t *thread, void *(*fn)(void *), void *arg, const char *name)
{
	sigset_t all, old;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ret)
		pthread_setname_np(*thread, name);
	return -ret;
}

int hs_collector_start(void)
{
	int ret;

	memset(&gc, 0, sizeof(gc));
	gc.born = hs_now();
	hs_mark_init();
	hs_team_init(hs.config.markers);
	hs_spans_create(hs.config.markers);
	ret = hs_start_thread(&gc.thread, collect, NULL, "hspan-collector");
	if (ret)
		hs_spans_destroy();
	while (!ret && gc.nr_helpers + 1 < hs.config.markers) {
		uintptr_t member = gc.nr_helpers + 1;

		ret = hs_start_thread(&gc.helper[gc.nr_helpers], help, (void *)member,
				      "hspan-marker");
		if (!ret)
			gc.nr_helpers++;
		else
			hs_collector_stop();
	}
	return ret;
}

void hs_collector_stop(void)
{
	hs_set_release(&gc.stop, 1);
	wake_collector();
	pthread_join(gc.thread, NULL);
	for (unsigned int i = 0; i < gc.nr_helpers; i++) {
		hs_work_wake();
		pthread_join(gc.helper[i], NULL);
	}
	gc.nr_helpers = 0;
	hs_spans_destroy();
}

uint64_t hs_collector_born(void)
{
	return gc.born;
}

void hs_collector_stats(struct hspan_stats *stats)
{
	stats->num_gc = hs_load(&gc.done);
	stats->num_forced = hs_load(&gc.num_forced);
	stats->mark_ns = hs_load(&gc.mark_ns);
	stats->mark_cpu_ns = hs_load(&gc.mark_cpu_ns);
	stats->wait_ns = hs_load(&gc.yield_ns);
	stats->sweep_cpu_ns = hs_load(&gc.sweep_cpu_ns);
	stats->cycle_max_ns = hs_load(&gc.cycle_max_ns);
	stats->heap_released = hs_load(&gc.released);
	stats->spans_swept = hs_sweep_count();
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Threads against one heap: clients that get and put, one that sweeps, one
 * that starts cycles, one that puts what is not its own, one that comes and
 * goes.  No page may have two owners and no good call may fail.
 *
 * usage: heap_stress [seconds [clients]]
 */
#include "host.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "../../kmod/tests/heap_fixture.h"

#define MAX_CLIENTS	16
#define MAX_HELD	24
#define MAX_BATCH	8
#define ROGUE		1000	/* holders from here on are not clients */
#define VISITOR		1001
#define SWEEPER		1002

/*
 * What a client must do about a cycle: bring what it holds up to date.  The
 * cycle thread waits until each has @seen the latest.
 */
struct client {
	pthread_t thread;
	u32 holder;
	u32 seen;
	u32 nr;
	struct hspan_span held[MAX_HELD];
	uint64_t seed;
	unsigned long calls;
};

static struct ht_fixture fixture;
static struct client clients[MAX_CLIENTS];
static unsigned int nr_clients = 4;
static u32 owners[HT_PAGES];
static int stop;
static unsigned long cycles, visits;

static void ht_fail(struct ht_fixture *f, const char *file, int line,
		    const char *text)
{
	(void)f;
	host_fail(file, line, text);
}

#define CHECK(cond)	HT_ASSERT(&fixture, cond)

static bool stopping(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static u32 sweepgen_now(void)
{
	return smp_load_acquire(&fixture.control.sweepgen);
}

/* Pages of a span in someone's hands have exactly that owner. */
static void own(const struct hspan_span *span, u32 from, u32 to)
{
	u32 i;

	for (i = span->page; i < span->page + span->npages; i++)
		CHECK(__atomic_exchange_n(&owners[i], to, __ATOMIC_RELAXED) ==
		      from);
}

static int put(u32 holder, const struct hspan_span *span, u32 nfree, u32 gen)
{
	own(span, holder, 0);
	return hspan_heap_put(fixture.heap, holder, span->page, nfree, gen);
}

static u32 some_free(uint64_t *seed, u32 span_class)
{
	u32 slots = hspan_nelems(span_class);

	return host_below(seed, 3) ? host_below(seed, slots + 1) : slots;
}

static void client_put(struct client *c, u32 i)
{
	struct hspan_span *span = &c->held[i];
	u32 nfree = some_free(&c->seed, span->span_class);

	CHECK(put(c->holder, span, nfree, span->sweepgen) == 0);
	*span = c->held[--c->nr];
	c->calls++;
}

static void client_get(struct client *c)
{
	static const u16 classes[] = { HT_CLASS, HT_WIDE, 2, 80, 0 };
	u32 span_class = classes[host_below(&c->seed, 5)];
	u32 npages = span_class ? 0 : 1 + host_below(&c->seed, 400);
	u32 flags = host_below(&c->seed, 8) ? 0 : HSPAN_GET_FRESH;
	u32 nr = 1 + host_below(&c->seed, MAX_BATCH);
	int n, i;

	nr = min(nr, MAX_HELD - c->nr);
	n = hspan_heap_get(fixture.heap, c->holder, span_class, npages, flags,
			   &c->held[c->nr], nr);
	c->calls++;
	if (n < 0) {
		CHECK(n == -ENOSPC || n == -EDQUOT || n == -ENOMEM);
		while (c->nr)
			client_put(c, 0);
		return;
	}
	for (i = 0; i < n; i++) {
		own(&c->held[c->nr], 0, c->holder);
		if (c->held[c->nr].flags & HSPAN_SPAN_UNSWEPT)
			c->held[c->nr].sweepgen = sweepgen_now();
		c->nr++;
	}
}

/* Sweep what we hold, and only then say that we know of the cycle. */
static void client_safepoint(struct client *c)
{
	u32 now = sweepgen_now(), i;

	if (now == c->seen && host_below(&c->seed, 4))
		return;
	for (i = 0; i < c->nr; i++)
		if (c->held[i].sweepgen != now || host_below(&c->seed, 2))
			c->held[i].sweepgen = now;
	smp_store_release(&c->seen, now);
}

static void *client_main(void *arg)
{
	struct client *c = arg;

	while (!stopping()) {
		if (c->nr < MAX_HELD && host_below(&c->seed, 2))
			client_get(c);
		else if (c->nr)
			client_put(c, host_below(&c->seed, c->nr));
		client_safepoint(c);
	}
	return NULL;
}

static void sweep_all(uint64_t *seed)
{
	struct hspan_span spans[MAX_BATCH];
	int n, i;

	while ((n = hspan_heap_sweep_next(fixture.heap, SWEEPER, spans,
					  MAX_BATCH)) > 0) {
		u32 now = sweepgen_now();

		for (i = 0; i < n; i++) {
			own(&spans[i], 0, SWEEPER);
			CHECK(spans[i].flags == HSPAN_SPAN_UNSWEPT);
			CHECK(put(SWEEPER, &spans[i],
				  some_free(seed, spans[i].span_class),
				  now) == 0);
		}
	}
}

/* Have all clients brought up to date what they hold? */
static bool all_seen(u32 sweepgen)
{
	unsigned int i;

	for (i = 0; i < nr_clients; i++)
		if (smp_load_acquire(&clients[i].seen) != sweepgen)
			return false;
	return true;
}

static void *cycle_main(void *arg)
{
	uint64_t seed = 99;
	u32 sweepgen = 0;

	while (!stopping()) {
		sweep_all(&seed);
		if (!all_seen(sweepgen_now()))
			continue;
		if (hspan_heap_cycle(fixture.heap, &sweepgen) == 0) {
			CHECK(sweepgen_now() == sweepgen);
			cycles++;
		}
	}
	return arg;
}

/* Holds nothing, so nothing it puts may be accepted. */
static void *rogue_main(void *arg)
{
	uint64_t seed = 4711;
	struct hspan_arena_stats st;
	int err;

	while (!stopping()) {
		err = hspan_heap_put(fixture.heap, ROGUE,
				     host_below(&seed, HT_PAGES + 100),
				     host_below(&seed, 80), sweepgen_now());
		CHECK(err == -EPERM || err == -ENOENT || err == -EALREADY);
		if (host_below(&seed, 64) == 0)
			hspan_heap_stats(fixture.heap, &st);
		if (host_below(&seed, 64) == 0)
			hspan_heap_release(fixture.heap, 1);
		if (host_below(&seed, 256) == 0)
			hspan_heap_flush(fixture.heap);
	}
	return arg;
}

/* A client that dies again and again with spans in hand. */
static void *visitor_main(void *arg)
{
	uint64_t seed = 31;
	struct hspan_span spans[MAX_BATCH];
	int n, i;

	while (!stopping()) {
		n = hspan_heap_get(fixture.heap, VISITOR, HT_CLASS, 0, 0,
				   spans, 1 + host_below(&seed, MAX_BATCH));
		for (i = 0; i < n; i++) {
			own(&spans[i], 0, VISITOR);
			own(&spans[i], VISITOR, 0);
		}
		CHECK(hspan_heap_drop_holder(fixture.heap, VISITOR) ==
		      (u64)(n < 0 ? 0 : n));
		visits++;
	}
	return arg;
}

static int ignore_span(const struct hspan_span_info *info, void *arg)
{
	(void)arg;
	return info->state > HSPAN_STATE_LISTED;
}

static void *walk_main(void *arg)
{
	while (!stopping()) {
		CHECK(hspan_heap_walk(fixture.heap, ignore_span, NULL) == 0);
		usleep(500);
	}
	return arg;
}

/* Put all, sweep all to nothing, and see that nothing is left. */
static void wind_up(void)
{
	struct hspan_span span;
	u32 sweepgen;
	unsigned int i;
	uint64_t seed = 5;

	CHECK(hspan_heap_verify(fixture.heap) == 0);
	for (i = 0; i < nr_clients; i++)
		hspan_heap_drop_holder(fixture.heap, clients[i].holder);
	for (i = 0; i < HT_PAGES; i++)
		owners[i] = 0;
	sweep_all(&seed);
	CHECK(hspan_heap_cycle(fixture.heap, &sweepgen) == 0);
	while (hspan_heap_sweep_next(fixture.heap, 1, &span, 1) == 1)
		CHECK(hspan_heap_put(fixture.heap, 1, span.page,
				     hspan_nelems(span.span_class),
				     sweepgen) == 0);
	CHECK(hspan_heap_verify(fixture.heap) == 0);
	CHECK(ht_stats(&fixture).spans == 0);
	hspan_heap_release(fixture.heap, ~0ULL);
	CHECK(fixture.control.blocks_held == 0);
}

static void run(unsigned int seconds)
{
	void *(*const mains[])(void *) = { cycle_main, rogue_main,
					   visitor_main, walk_main };
	pthread_t others[4];
	unsigned int i;

	for (i = 0; i < nr_clients; i++) {
		clients[i].holder = i + 1;
		clients[i].seen = 1;
		clients[i].seed = i + 1;
		pthread_create(&clients[i].thread, NULL, client_main,
			       &clients[i]);
	}
	for (i = 0; i < 4; i++)
		pthread_create(&others[i], NULL, mains[i], NULL);
	sleep(seconds);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < nr_clients; i++)
		pthread_join(clients[i].thread, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(others[i], NULL);
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? (unsigned int)atoi(argv[1]) : 3, i;
	unsigned long calls = 0;

	if (argc > 2)
		nr_clients = min((unsigned int)atoi(argv[2]),
				 (unsigned int)MAX_CLIENTS);
	printf("1..1\n");
	CHECK(ht_init(&fixture, NULL) == 0);
	run(seconds);
	wind_up();
	CHECK(ht_exit(&fixture) == 0);
	for (i = 0; i < nr_clients; i++)
		calls += clients[i].calls;
	printf("# %lu calls, %lu cycles, %lu visits\n", calls, cycles, visits);
	CHECK(cycles > 0 && visits > 0);
	printf("ok 1 - stress\n");
	return 0;
}

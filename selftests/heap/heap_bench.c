// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Nanoseconds for a span got and put back, by where it comes from, one at a
 * time and in batches of 32, with one thread and more.
 *
 * usage: heap_bench [threads]
 */
#include "host.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "../../kmod/heap/internal.h"

#define BLOCKS		256
#define ROUNDS		5
#define BATCH		32
#define SECONDS		0.2

#define CLASS		HSPAN_SPAN_CLASS(10, 0)
#define SLOTS		64

static u32 maps[BLOCKS][HSPAN_BLOCK_PAGES];
static struct hspan_heap *heap;
static int stop;

static int block_get(struct hspan_heap *h, u32 block)
{
	(void)h;
	(void)block;
	return 0;
}

static u32 *page_map(struct hspan_heap *h, u32 block)
{
	(void)h;
	return maps[block];
}

static void block_put(struct hspan_heap *h, u32 block)
{
	(void)h;
	(void)block;
}

static const struct hspan_heap_ops ops = {
	.block_get = block_get,
	.page_map = page_map,
	.block_put = block_put,
};

/**
 * struct kind - one thing to measure
 * @name: for the table
 * @flags: of get
 * @nr: batch
 * @nfree: of put: some slots = through cache and central, all = page heap
 */
struct kind {
	const char *name;
	u32 flags;
	u32 nr;
	u32 nfree;
};

struct worker {
	pthread_t thread;
	const struct kind *kind;
	u32 holder;
	unsigned long pairs;
};

static void one_pair(struct worker *w, struct hspan_span *spans)
{
	int n, i;

	n = hspan_heap_get(heap, w->holder, CLASS, 0, w->kind->flags, spans,
			   w->kind->nr);
	for (i = 0; i < n; i++)
		hspan_heap_put(heap, w->holder, spans[i].page,
			       w->kind->nfree, 1);
	w->pairs += (unsigned long)(n > 0 ? n : 0);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct hspan_span spans[BATCH];
	unsigned int i;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		for (i = 0; i < 64; i++)
			one_pair(w, spans);
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Thread-nanoseconds a pair. */
static double measure(const struct kind *kind, unsigned int threads)
{
	struct worker workers[64] = { 0 };
	unsigned long pairs = 0;
	unsigned int i;
	double start = now(), took;

	stop = 0;
	for (i = 0; i < threads; i++) {
		workers[i].kind = kind;
		workers[i].holder = i + 1;
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	while (now() - start < SECONDS)
		usleep(1000);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		pairs += workers[i].pairs;
	}
	took = now() - start;
	return took * 1e9 * threads / (double)pairs;
}

/* A heap as it looks in use: many spans, with holes. */
static void prepare(void)
{
	struct hspan_span span;
	uint64_t seed = 1;
	u32 i;

	heap = hspan_heap_create(&ops, NULL, BLOCKS);
	for (i = 0; i < 64 * HSPAN_BLOCK_PAGES; i++)
		hspan_heap_get(heap, 100, CLASS, 0, HSPAN_GET_FRESH, &span, 1);
	for (i = 0; i < 64 * HSPAN_BLOCK_PAGES; i++)
		if (host_below(&seed, 4) == 0)
			hspan_heap_put(heap, 100, i, SLOTS, 1);
}

int main(int argc, char **argv)
{
	static const struct kind kinds[] = {
		{ "cache, 1", 0, 1, 1 },
		{ "central, 32", 0, BATCH, 1 },
		{ "page heap, 1", HSPAN_GET_FRESH, 1, SLOTS },
		{ "page heap, 32", HSPAN_GET_FRESH, BATCH, SLOTS },
	};
	unsigned int threads = argc > 1 ? (unsigned int)atoi(argv[1]) : 1;
	unsigned int i, round;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		double best = 1e9, ns;

		for (round = 0; round < ROUNDS; round++) {
			prepare();
			ns = measure(&kinds[i], threads);
			best = ns < best ? ns : best;
			hspan_heap_destroy(heap);
		}
		printf("%-14s %u thread%s %7.1f ns a pair (best of %d)\n",
		       kinds[i].name, threads, threads > 1 ? "s" : " ", best,
		       ROUNDS);
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * How well memory can be given back: fill a heap with spans of mixed sizes,
 * churn, then shrink while the churn goes on, and count the blocks that are
 * free.  The page heap against first fit by address, same calls to both.
 *
 * usage: heap_sim [seed]
 */
#include "host.h"

#include <string.h>

#include "../../kmod/heap/internal.h"

#define BLOCKS		512
#define PAGES		(BLOCKS * HSPAN_BLOCK_PAGES)
#define TARGET		(256 * HSPAN_BLOCK_PAGES)	/* pages, when full */
#define CHURN		8	/* spans replaced for each one live */

/* A live span, in both heaps. */
struct live {
	u32 ours;
	u32 theirs;
	u32 npages;
	u32 span_class;
};

static u32 maps[BLOCKS][HSPAN_BLOCK_PAGES];
static struct hspan_heap *heap;
static unsigned long ff_used[BITS_TO_LONGS(PAGES)];
static struct live live[PAGES];
static u32 nr_live, pages_live;
static uint64_t seed = 1;

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

/* First fit by address, spans inside one block as ours are. */
static u32 ff_get(u32 npages)
{
	unsigned long at = 0;

	for (;;) {
		at = bitmap_find_next_zero_area(ff_used, PAGES, at, npages, 0);
		if (at >= PAGES)
			abort();
		if (at % HSPAN_BLOCK_PAGES + npages <= HSPAN_BLOCK_PAGES)
			break;
		at = (at / HSPAN_BLOCK_PAGES + 1) * HSPAN_BLOCK_PAGES;
	}
	bitmap_set(ff_used, (unsigned int)at, npages);
	return (u32)at;
}

/* Blocks with a page in use, of each heap. */
static u32 ff_blocks(void)
{
	u32 i, n = 0;

	for (i = 0; i < BLOCKS; i++)
		n += find_next_bit(ff_used, (i + 1) * HSPAN_BLOCK_PAGES,
				   i * HSPAN_BLOCK_PAGES) <
		     (i + 1) * HSPAN_BLOCK_PAGES;
	return n;
}

static u32 our_blocks(void)
{
	struct hspan_arena_stats st;

	hspan_heap_stats(heap, &st);
	return (u32)(st.blocks_held - st.blocks_free);
}

/* Mostly small classes, some large spans: 1 to 10 pages, 2 % up to 100. */
static void make(void)
{
	struct live *l = &live[nr_live++];
	struct hspan_span span;
	u32 size_class = 1 + host_below(&seed, HSPAN_NR_SIZE_CLASSES - 1);

	if (host_below(&seed, 50) == 0) {
		l->span_class = 0;
		l->npages = 1 + host_below(&seed, 100);
	} else {
		l->span_class = size_class * 2;
		l->npages = hspan_class_pages[size_class];
	}
	if (hspan_heap_get(heap, 1, l->span_class,
			   l->span_class ? 0 : l->npages, HSPAN_GET_FRESH,
			   &span, 1) != 1)
		abort();
	l->ours = span.page;
	l->theirs = ff_get(l->npages);
	pages_live += l->npages;
}

static void end_one(void)
{
	u32 i = host_below(&seed, nr_live);
	struct live *l = &live[i];

	if (hspan_heap_put(heap, 1, l->ours, hspan_nelems(l->span_class), 1))
		abort();
	bitmap_clear(ff_used, l->theirs, l->npages);
	pages_live -= l->npages;
	*l = live[--nr_live];
}

static void report(const char *when)
{
	u32 least = DIV_ROUND_UP(pages_live, HSPAN_BLOCK_PAGES);

	printf("%-18s %7u pages (%3u blocks) in %3u blocks, first fit %3u\n",
	       when, pages_live, least, our_blocks(), ff_blocks());
}

/* Four spans end for each three made until @pages are left. */
static void shrink(u32 pages)
{
	u32 i = 0;

	while (pages_live > pages) {
		end_one();
		if (i++ % 4)
			make();
	}
}

int main(int argc, char **argv)
{
	u32 i, n;

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	heap = hspan_heap_create(&ops, NULL, BLOCKS);
	while (pages_live < TARGET)
		make();
	report("filled");
	for (i = 0, n = nr_live * CHURN; i < n; i++) {
		end_one();
		make();
	}
	report("churned");
	shrink(TARGET / 4 * 3);
	report("shrunk to 75 %");
	shrink(TARGET / 2);
	report("shrunk to 50 %");
	shrink(TARGET / 4);
	report("shrunk to 25 %");
	shrink(TARGET / 10);
	report("shrunk to 10 %");
	hspan_heap_destroy(heap);
	return 0;
}

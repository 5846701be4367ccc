/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * A heap over an arena that is only pretended, for KUnit and for host tests.
 *
 * The includer defines ht_fail(), which reports a failure and does not return.
 */
#ifndef _HUGESPAN_HEAP_FIXTURE_H
#define _HUGESPAN_HEAP_FIXTURE_H

#include "../heap/internal.h"

#define HT_BLOCKS	24
#define HT_PAGES	(HT_BLOCKS * HSPAN_BLOCK_PAGES)

/* A small-object class of one page and one of seven, for tests that count. */
#define HT_CLASS	HSPAN_SPAN_CLASS(10, 0)	/* 128 bytes, 64 slots */
#define HT_CLASS_PAGES	1
#define HT_CLASS_SLOTS	64
#define HT_WIDE		HSPAN_SPAN_CLASS(58, 1)	/* 14336 bytes, 4 slots */
#define HT_WIDE_PAGES	7
#define HT_LARGE	HSPAN_CLASS_LARGE_SCAN

struct ht_fixture;
static void ht_fail(struct ht_fixture *f, const char *file, int line,
		    const char *text);

#define HT_ASSERT(f, cond) do {						\
	if (!(cond))							\
		ht_fail(f, __FILE__, __LINE__, #cond);			\
} while (0)

/**
 * struct ht_fixture - a heap and the arena it believes in
 * @heap: under test
 * @control: its control page
 * @test: for ht_fail()
 * @maps: page map entries of each block, once asked for
 * @backed: which blocks have memory
 * @dirty: which pages were handed out since their block was last backed
 * @gets: successful block_get calls
 * @puts: block_put calls
 * @fail_in: how many block_get calls until one fails, 0 = none will
 * @fail_with: its errno
 * @fail_map: page_map calls fail
 * @fail_puts: how many block_try_put calls fail
 * @ending: the heap is being destroyed: page maps need not be cleared
 * @wrong: calls that broke the rules of struct hspan_heap_ops
 * @lock: protects what the operations count
 */
struct ht_fixture {
	struct hspan_heap *heap;
	struct hspan_control control;
	void *test;
	u32 *maps[HT_BLOCKS];
	bool backed[HT_BLOCKS];
	u8 dirty[HT_PAGES];
	u32 gets;
	u32 puts;
	u32 fail_in;
	int fail_with;
	bool fail_map;
	u32 fail_puts;
	bool ending;
	u32 wrong;
	spinlock_t lock;
};

static int ht_block_get(struct hspan_heap *heap, u32 block)
{
	struct ht_fixture *f = hspan_heap_priv(heap);
	int err = 0;

	spin_lock(&f->lock);
	if (f->fail_in && !--f->fail_in) {
		err = f->fail_with;
	} else {
		f->wrong += f->backed[block];
		f->backed[block] = true;
		f->gets++;
	}
	spin_unlock(&f->lock);
	if (!err)
		memset(&f->dirty[block * HSPAN_BLOCK_PAGES], 0,
		       HSPAN_BLOCK_PAGES);
	return err;
}

static u32 *ht_page_map(struct hspan_heap *heap, u32 block)
{
	struct ht_fixture *f = hspan_heap_priv(heap);

	if (f->fail_map)
		return NULL;
	spin_lock(&f->lock);
	f->wrong += f->maps[block] != NULL || !f->backed[block];
	spin_unlock(&f->lock);
	f->maps[block] = kvcalloc(HSPAN_BLOCK_PAGES, sizeof(u32),
				  GFP_KERNEL_ACCOUNT);
	return f->maps[block];
}

static void ht_block_put(struct hspan_heap *heap, u32 block)
{
	struct ht_fixture *f = hspan_heap_priv(heap);
	u32 mapped = 0, i;

	for (i = 0; !f->ending && f->maps[block] && i < HSPAN_BLOCK_PAGES; i++)
		mapped += f->maps[block][i] != HSPAN_PM_NONE;
	spin_lock(&f->lock);
	f->wrong += !f->backed[block] || mapped;
	f->backed[block] = false;
	f->puts++;
	spin_unlock(&f->lock);
}

/* Refuses @fail_puts times, then does it. */
static bool ht_block_try_put(struct hspan_heap *heap, u32 block)
{
	struct ht_fixture *f = hspan_heap_priv(heap);

	if (f->fail_puts) {
		f->fail_puts--;
		return false;
	}
	ht_block_put(heap, block);
	return true;
}

static const struct hspan_heap_ops ht_ops = {
	.block_get = ht_block_get,
	.page_map = ht_page_map,
	.block_put = ht_block_put,
	.block_try_put = ht_block_try_put,
};

static inline int ht_init(struct ht_fixture *f, void *test)
{
	memset(f, 0, sizeof(*f));
	f->test = test;
	spin_lock_init(&f->lock);
	f->heap = hspan_heap_create(&ht_ops, f, HT_BLOCKS);
	if (!f->heap)
		return -ENOMEM;
	hspan_heap_set_control(f->heap, &f->control);
	return 0;
}

/* What every test ends with; returns how many rules were broken. */
static inline u32 ht_exit(struct ht_fixture *f)
{
	u32 i;

	f->ending = true;
	hspan_heap_destroy(f->heap);
	f->wrong += f->gets != f->puts;
	for (i = 0; i < HT_BLOCKS; i++) {
		f->wrong += f->backed[i];
		kvfree(f->maps[i]);
	}
	return f->wrong;
}

static inline void ht_verify(struct ht_fixture *f)
{
	HT_ASSERT(f, hspan_heap_verify(f->heap) == 0);
	HT_ASSERT(f, f->wrong == 0);
}

static inline struct hspan_arena_stats ht_stats(struct ht_fixture *f)
{
	struct hspan_arena_stats st;

	hspan_heap_stats(f->heap, &st);
	return st;
}

/* Shorthands: holder 1, and sweepgen as it is now. */
static inline struct hspan_span ht_get(struct ht_fixture *f, u32 span_class,
				       u32 npages)
{
	struct hspan_span span;

	HT_ASSERT(f, hspan_heap_get(f->heap, 1, span_class, npages, 0, &span,
				    1) == 1);
	return span;
}

static inline void ht_put(struct ht_fixture *f, u32 page, u32 nfree)
{
	HT_ASSERT(f, hspan_heap_put(f->heap, 1, page, nfree,
				    f->control.sweepgen) == 0);
}

static inline u32 ht_cycle(struct ht_fixture *f)
{
	u32 sweepgen = 0;

	HT_ASSERT(f, hspan_heap_cycle(f->heap, &sweepgen) == 0);
	HT_ASSERT(f, f->control.sweepgen == sweepgen);
	return sweepgen;
}

static inline u32 ht_entry(struct ht_fixture *f, u32 page)
{
	u32 *map = f->maps[page / HSPAN_BLOCK_PAGES];

	return map ? map[page % HSPAN_BLOCK_PAGES] : HSPAN_PM_NONE;
}

#endif /* _HUGESPAN_HEAP_FIXTURE_H */

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Looking at a heap without changing it: counters, a walk over all spans, and
 * a check of every invariant.
 */
#include "internal.h"

static void hspan_stats_central(struct hspan_heap *heap,
				struct hspan_arena_stats *st, u64 *listed,
				u64 *drained)
{
	unsigned int i;

	for (i = 0; i < HSPAN_NR_SPAN_CLASSES; i++) {
		struct hspan_central *central = &heap->central[i];

		spin_lock(&central->lock);
		st->central_hits += central->hits;
		st->puts += central->puts;
		*drained += central->drained;
		*listed += central->partial[0].nr + central->partial[1].nr +
			   central->full[0].nr + central->full[1].nr;
		spin_unlock(&central->lock);
	}
}

/* What went into the caches and has not come out. */
static void hspan_stats_caches(struct hspan_heap *heap,
			       struct hspan_arena_stats *st, u64 drained)
{
	u64 puts = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct hspan_cpu_cache *cache = per_cpu_ptr(heap->caches, cpu);

		st->cache_hits += local64_read(&cache->hits);
		puts += local64_read(&cache->puts);
	}
	st->puts += puts;
	drained += st->cache_hits;
	st->spans_cached = puts > drained ? puts - drained : 0;
}

static void hspan_stats_pages(struct hspan_heap *heap,
			      struct hspan_arena_stats *st)
{
	spin_lock(&heap->lock);
	st->sweepgen = heap->sweepgen;
	st->blocks_held = heap->nr_held;
	st->blocks_free = heap->nr_free;
	st->blocks_grown = heap->grown;
	st->blocks_released = heap->released;
	st->pages_used = heap->pages_used;
	st->spans = heap->spans;
	st->page_heap_hits = heap->hits;
	st->puts += heap->puts;
	spin_unlock(&heap->lock);
}

/*
 * One lock at a time: exact when the heap is at rest, otherwise a sum of
 * figures from slightly different moments.  @faults and @clients are the
 * arena's to fill in.
 */
void hspan_heap_stats(struct hspan_heap *heap, struct hspan_arena_stats *st)
{
	u64 listed = 0, drained = 0;

	*st = (struct hspan_arena_stats){ 0 };
	hspan_stats_central(heap, st, &listed, &drained);
	hspan_stats_caches(heap, st, drained);
	hspan_stats_pages(heap, st);
	st->nr_unswept = hspan_nr_unswept(heap);
	st->gets = st->cache_hits + st->central_hits + st->page_heap_hits;
	listed += st->spans_cached;
	st->spans_held = st->spans > listed ? st->spans - listed : 0;
}

static bool hspan_find_in_block(struct hspan_block *block, u32 i,
				struct hspan_span_info *info)
{
	for (; i < HSPAN_BLOCK_PAGES; i++) {
		struct hspan_sdesc *desc = &block->sdesc[i];

		*info = (struct hspan_span_info){
			.page = desc->page,
			.npages = READ_ONCE(desc->npages),
			.holder = READ_ONCE(desc->holder),
			.nfree = READ_ONCE(desc->nfree),
			.sweepgen = READ_ONCE(desc->sweepgen),
			.span_class = READ_ONCE(desc->span_class),
			.state = READ_ONCE(desc->state),
		};
		if (info->state != HSPAN_STATE_FREE)
			return true;
	}
	return false;
}

bool hspan_heap_find(struct hspan_heap *heap, u32 page,
		     struct hspan_span_info *info)
{
	u32 at = page % HSPAN_BLOCK_PAGES, i;

	for (i = page / HSPAN_BLOCK_PAGES; i < heap->nr_blocks; i++, at = 0) {
		struct hspan_block *block = hspan_block(heap, i);

		if (block && hspan_find_in_block(block, at, info))
			return true;
		cond_resched();
	}
	return false;
}

int hspan_heap_walk(struct hspan_heap *heap,
		    int (*fn)(const struct hspan_span_info *info, void *arg),
		    void *arg)
{
	struct hspan_span_info info;
	u32 page = 0;
	int ret = 0;

	while (!ret && hspan_heap_find(heap, page, &info)) {
		ret = fn(&info, arg);
		page = info.page + 1;
	}
	return ret;
}

/**
 * struct hspan_check - what a verification has found so far
 * @heap: what is verified
 * @faults: how many checks failed
 * @spans: spans seen in blocks, by state
 * @held: blocks backed
 * @free: of those, without a span
 * @pages_used: pages of spans
 */
struct hspan_check {
	struct hspan_heap *heap;
	unsigned int faults;
	u64 spans[HSPAN_STATE_LISTED + 1];
	u64 held;
	u64 free;
	u64 pages_used;
};

#define HSPAN_MAX_REPORTS	10

#define hspan_check(check, cond, fmt, ...) do {				\
	if (!(cond) && (check)->faults++ < HSPAN_MAX_REPORTS)		\
		hspan_heap_warn("verify: " fmt, ##__VA_ARGS__);		\
} while (0)

/* Page @page must be used and belong to the span of @desc. */
static void hspan_verify_page(struct hspan_check *check, u32 page,
			      const struct hspan_sdesc *desc)
{
	struct hspan_block *block = hspan_block(check->heap,
						hspan_block_of(page));
	u32 i = page % HSPAN_BLOCK_PAGES;
	u32 want = HSPAN_PM_ENTRY(desc->page, desc->span_class);

	hspan_check(check, block && block->held, "page %u of span %u: no memory",
		    page, desc->page);
	if (!block)
		return;
	hspan_check(check, test_bit(i, block->used),
		    "page %u of span %u: free", page, desc->page);
	hspan_check(check, block->page_map[i] == want,
		    "page %u of span %u: page map says %x, not %x", page,
		    desc->page, block->page_map[i], want);
	hspan_check(check, page == desc->page || !i ||
		    block->sdesc[i].state == HSPAN_STATE_FREE,
		    "page %u of span %u: begins a span too", page, desc->page);
}

static void hspan_verify_span(struct hspan_check *check,
			      const struct hspan_sdesc *desc)
{
	struct hspan_heap *heap = check->heap;
	u32 size_class = desc->span_class / 2, i;
	u32 age = heap->sweepgen - desc->sweepgen;

	check->spans[desc->state]++;
	check->pages_used += desc->npages;
	hspan_check(check, !desc->holder == (desc->state != HSPAN_STATE_HELD),
		    "span %u: state %u, holder %u", desc->page, desc->state,
		    desc->holder);
	hspan_check(check, !size_class ||
		    desc->npages == hspan_class_pages[size_class],
		    "span %u: %u pages", desc->page, desc->npages);
	hspan_check(check, desc->nfree <= hspan_nelems(desc->span_class),
		    "span %u: %u free slots", desc->page, desc->nfree);
	hspan_check(check, desc->state != HSPAN_STATE_CACHED || !age,
		    "span %u: cached and unswept", desc->page);
	hspan_check(check, desc->state != HSPAN_STATE_LISTED || age <= 1,
		    "span %u: listed, %u cycles old", desc->page, age);
	for (i = 0; i < desc->npages; i++)
		hspan_verify_page(check, desc->page + i, desc);
}

static void hspan_verify_block(struct hspan_check *check,
			       struct hspan_block *block)
{
	u32 nused = 0, mapped = 0, run = 0, longest = 0, i;

	for (i = 0; i < HSPAN_BLOCK_PAGES; i++) {
		bool used = test_bit(i, block->used);

		nused += used;
		mapped += block->page_map[i] != HSPAN_PM_NONE;
		run = used ? 0 : run + 1;
		longest = max(longest, run);
		hspan_check(check, !used || test_bit(i, block->dirty),
			    "block %u: page %u used but clean", block->index,
			    i);
		if (block->sdesc[i].state != HSPAN_STATE_FREE)
			hspan_verify_span(check, &block->sdesc[i]);
	}
	hspan_check(check, nused == block->nused && nused == mapped,
		    "block %u: %u used, counted %u, in page map %u",
		    block->index, nused, block->nused, mapped);
	hspan_check(check, longest == block->longest,
		    "block %u: longest run %u, not %u", block->index, longest,
		    block->longest);
	hspan_check(check, hspan_fit_get(&check->heap->fit, block->index) ==
		    hspan_block_offer(block),
		    "block %u: found by a run of %u", block->index,
		    hspan_fit_get(&check->heap->fit, block->index));
}

static void hspan_verify_blocks(struct hspan_check *check)
{
	struct hspan_heap *heap = check->heap;
	u32 i;

	for (i = 0; i < heap->nr_blocks; i++) {
		struct hspan_block *block = hspan_block(heap, i);
		bool held = block && block->held;
		bool used = block && block->nused;

		check->held += held;
		check->free += held && !used;
		hspan_check(check, held == !!test_bit(i, heap->taken) &&
			    used == !!test_bit(i, heap->busy) &&
			    (held && !used) == !!test_bit(i, heap->free),
			    "block %u: bits do not match", i);
		if (block)
			hspan_verify_block(check, block);
	}
}

static u32 hspan_verify_stack(struct hspan_check *check, u32 span_class,
			      const struct hspan_slist *stack, bool full,
			      unsigned int parity)
{
	const struct hspan_sdesc *desc;
	u32 n = 0;

	for (desc = stack->top; desc && n <= stack->nr; desc = desc->next) {
		n++;
		hspan_check(check, desc->state == HSPAN_STATE_LISTED &&
			    desc->span_class == span_class &&
			    (desc->sweepgen & 1) == parity &&
			    !desc->nfree == full,
			    "span %u: on the wrong list", desc->page);
	}
	hspan_check(check, n == stack->nr, "class %u: list of %u counts %u",
		    span_class, n, stack->nr);
	return n;
}

static void hspan_verify_central(struct hspan_check *check)
{
	struct hspan_heap *heap = check->heap;
	u32 listed[2] = { 0, 0 };
	unsigned int i, p;

	for (i = 0; i < HSPAN_NR_SPAN_CLASSES; i++) {
		struct hspan_central *central = &heap->central[i];

		for (p = 0; p < 2; p++) {
			listed[p] += hspan_verify_stack(check, i,
					&central->partial[p], false, p);
			listed[p] += hspan_verify_stack(check, i,
					&central->full[p], true, p);
		}
	}
	for (p = 0; p < 2; p++)
		hspan_check(check,
			    listed[p] == (u32)atomic_read(&heap->nr_listed[p]),
			    "parity %u: %u spans listed, counted %d", p,
			    listed[p], atomic_read(&heap->nr_listed[p]));
	hspan_check(check, listed[0] + listed[1] ==
		    check->spans[HSPAN_STATE_LISTED],
		    "%u spans on lists, %llu say so", listed[0] + listed[1],
		    (unsigned long long)check->spans[HSPAN_STATE_LISTED]);
}

static u32 hspan_verify_line(struct hspan_check *check, u32 span_class,
			     const struct hspan_cache_line *line)
{
	u32 n = 0, i;

	for (i = 0; i < HSPAN_CACHE_DEPTH_MAX; i++) {
		const struct hspan_sdesc *desc;

		if (!line->slot[i])
			continue;
		desc = hspan_desc(check->heap, line->slot[i] - 1);
		hspan_check(check, desc->state == HSPAN_STATE_CACHED &&
			    desc->span_class == span_class && desc->nfree,
			    "span %u: in a cache", desc->page);
		n++;
	}
	hspan_check(check, line->depth <= HSPAN_CACHE_DEPTH_MAX,
		    "class %u: cache of depth %u", span_class, line->depth);
	return n;
}

static u32 hspan_verify_cache(struct hspan_check *check,
			      const struct hspan_cpu_cache *cache)
{
	u32 n = 0, i;

	for (i = 0; i < HSPAN_NR_SPAN_CLASSES; i++)
		n += hspan_verify_line(check, i, &cache->line[i]);
	hspan_check(check, !n || cache->used, "%u spans in an unused cache", n);
	return n;
}

static void hspan_verify_caches(struct hspan_check *check)
{
	struct hspan_arena_stats st;
	u32 n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += hspan_verify_cache(check,
				per_cpu_ptr(check->heap->caches, cpu));
	hspan_check(check, n == check->spans[HSPAN_STATE_CACHED],
		    "%u spans in caches, %llu say so", n,
		    (unsigned long long)check->spans[HSPAN_STATE_CACHED]);
	hspan_heap_stats(check->heap, &st);
	hspan_check(check, n == st.spans_cached &&
		    st.spans_held == check->spans[HSPAN_STATE_HELD],
		    "%u spans in caches, counted %llu", n,
		    (unsigned long long)st.spans_cached);
}

static void hspan_verify_counters(struct hspan_check *check)
{
	struct hspan_heap *heap = check->heap;
	const struct hspan_control *control = heap->control;
	u64 spans = check->spans[HSPAN_STATE_HELD] +
		    check->spans[HSPAN_STATE_CACHED] +
		    check->spans[HSPAN_STATE_LISTED];

	hspan_check(check, spans == heap->spans &&
		    check->pages_used == heap->pages_used,
		    "spans or pages do not add up");
	hspan_check(check, check->held == heap->nr_held &&
		    check->free == heap->nr_free && !heap->nr_reserved &&
		    heap->grown - heap->released == heap->nr_held,
		    "blocks do not add up");
	if (control)
		hspan_check(check, control->sweepgen == heap->sweepgen &&
			    control->nr_unswept == hspan_nr_unswept(heap) &&
			    control->blocks_held == heap->nr_held &&
			    control->blocks_free == heap->nr_free,
			    "the control page is out of date");
}

unsigned int hspan_heap_verify(struct hspan_heap *heap)
{
	struct hspan_check check = { .heap = heap };

	hspan_verify_blocks(&check);
	hspan_check(&check, !hspan_fit_verify(&heap->fit),
		    "the tree over blocks is wrong");
	hspan_verify_central(&check);
	hspan_verify_caches(&check);
	hspan_verify_counters(&check);
	return check.faults;
}

// SPDX-License-Identifier: MIT
/*
 * The embedded backend of malloc(): the span heap over memory of this process.
 *
 * The first blocks are mapped by the system's small pages, so that a small
 * program holds what it touches; those behind them by huge ones.  As low blocks
 * are filled first, that is a matter of how much a program uses.
 */
#include <sys/mman.h>

#include "heap.h"
#include "hm.h"
#include "span_extend.h"

#define HOLDER	     1
#define SMALL_BLOCKS 16 /* without huge pages */

static struct {
	struct hspan_heap *heap;
	struct hspan_control control;
	uint32_t *page_map;
	char *data;
	size_t size;
} embedded;

/* The whole range is mapped; touching a block backs it with zeroes. */
static int block_get(struct hspan_heap *heap, u32 block)
{
	(void)heap;
	(void)block;
	return 0;
}

static u32 *page_map(struct hspan_heap *heap, u32 block)
{
	(void)heap;
	return embedded.page_map + (size_t)block * HSPAN_BLOCK_PAGES;
}

static void block_put(struct hspan_heap *heap, u32 block)
{
	(void)heap;
	madvise(embedded.data + (size_t)block * HSPAN_BLOCK_SIZE, HSPAN_BLOCK_SIZE, MADV_DONTNEED);
}

static const struct hspan_heap_ops ops = {
	.block_get = block_get,
	.page_map = page_map,
	.block_put = block_put,
};

/* The memory of pages that belong to nobody goes. */
void hm_drop_pages(uint32_t page, uint32_t npages)
{
	madvise((char *)hm.base + ((size_t)page << HSPAN_PAGE_SHIFT),
		(size_t)npages << HSPAN_PAGE_SHIFT, MADV_DONTNEED);
}

/* A heap over @data, and nothing to be had below page @taken. */
int hm_embedded_open_at(char *data, size_t size, uint32_t taken, struct hs_space *space)
{
	struct hspan_span span;

	embedded.data = data;
	embedded.size = size;
	embedded.page_map = hs_map((size >> HSPAN_PAGE_SHIFT) * sizeof(uint32_t));
	embedded.heap = hspan_heap_create(&ops, NULL, (u32)(size >> HSPAN_BLOCK_SHIFT));
	if (!embedded.page_map || !embedded.heap)
		return -ENOMEM;
	hspan_heap_set_control(embedded.heap, &embedded.control);
	if (taken && hspan_heap_get(embedded.heap, HOLDER, HSPAN_CLASS_LARGE_NOSCAN, taken, 0,
				    &span, 1) != 1)
		return -ENOMEM;
	*space = (struct hs_space){
		.data = data,
		.size = size,
		.page_map = embedded.page_map,
		.control = &embedded.control,
		.limit = UINT64_MAX,
	};
	return 0;
}

static int embedded_open(size_t size, struct hs_space *space)
{
	const size_t small = SMALL_BLOCKS * HSPAN_BLOCK_SIZE;
	char *map = hs_map(size + HSPAN_BLOCK_SIZE), *data;
	int ret;

	if (!map)
		return -ENOMEM;
	data = (char *)(((uintptr_t)map + HSPAN_BLOCK_SIZE - 1) & ~(HSPAN_BLOCK_SIZE - 1));
	if (size > small)
		madvise(data + small, size - small, MADV_HUGEPAGE);
	ret = hm_embedded_open_at(data, size, 0, space);
	if (ret)
		hs_unmap(map, size + HSPAN_BLOCK_SIZE);
	return ret;
}

static int embedded_span_get(uint32_t span_class, uint32_t npages, uint32_t flags,
			     struct hspan_span *spans, uint32_t nr)
{
	return hspan_heap_get(embedded.heap, HOLDER, span_class, npages, flags, spans, nr);
}

static int embedded_span_put(struct hspan_put *puts, uint32_t nr)
{
	return (int)hspan_heap_put_many(embedded.heap, HOLDER, puts, nr);
}

static int64_t embedded_release(uint64_t max_blocks)
{
	return (int64_t)hspan_heap_release(embedded.heap, max_blocks);
}

static int embedded_stats(struct hspan_arena_stats *stats)
{
	hspan_heap_stats(embedded.heap, stats);
	return 0;
}

bool hm_embedded_extend(uint32_t page, uint32_t npages, uint32_t more, uint32_t *dirty)
{
	return hs_extend(embedded.heap, page, npages, more, dirty);
}

/* Free pages whose memory may be there. */
uint64_t hm_embedded_idle(void)
{
	return hm_trim_count(embedded.heap);
}

uint64_t hm_embedded_trim(struct hm_trim *trim, uint64_t max)
{
	return hm_trim_step(embedded.heap, trim, max);
}

const struct hs_backend hm_backend_embedded = {
	.name = "embedded",
	.open = embedded_open,
	.span_get = embedded_span_get,
	.span_put = embedded_span_put,
	.release = embedded_release,
	.stats = embedded_stats,
};

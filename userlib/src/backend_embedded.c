// SPDX-License-Identifier: MIT
/* The embedded backend: the span heap in this process, over anonymous memory. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "heap.h"
#include "limit.h"
#include "span_extend.h"

#define HOLDER 1 /* the one client */

static struct {
	struct hspan_heap *heap;
	struct hspan_control *control;
	struct hs_space space;
	void *data_map;
	size_t data_map_size;
} embedded;

/* The page map's, and the notes'. */
static size_t page_map_size(void)
{
	return (embedded.space.size >> HSPAN_PAGE_SHIFT) * sizeof(uint32_t);
}

static size_t bits_size(void)
{
	return (embedded.space.size >> HSPAN_PAGE_SHIFT) * HSPAN_BITS_STRIDE * HSPAN_BITS_PLANES;
}

/*
 * The whole range is mapped; touching a block backs it with zeroes.  Where a
 * cgroup counts what we take that is done now: what is held has to be what was
 * counted, or the limit would be thought far when it is near.
 */
static int block_get(struct hspan_heap *heap, u32 block)
{
	char *p = embedded.space.data + (size_t)block * HSPAN_BLOCK_SIZE;

	(void)heap;
	if (!hs_limit_counts() || !madvise(p, HSPAN_BLOCK_SIZE, MADV_POPULATE_WRITE))
		return 0;
	if (errno != EINVAL)
		return -ENOMEM;
	for (size_t at = 0; at < HSPAN_BLOCK_SIZE; at += 4096) /* Linux before 5.14 */
		((volatile char *)p)[at] = 0;
	return 0;
}

static u32 *page_map(struct hspan_heap *heap, u32 block)
{
	(void)heap;
	return (u32 *)embedded.space.page_map + (size_t)block * HSPAN_BLOCK_PAGES;
}

/* Memory shared with nobody goes at once; what is shared has to be punched out. */
static void drop_bits(uint8_t *bits, size_t size)
{
	madvise(bits, size, embedded.space.shared_bits ? MADV_REMOVE : MADV_DONTNEED);
}

/* The block's memory goes, and its bits with it. */
static void block_put(struct hspan_heap *heap, u32 block)
{
	const size_t bits = (size_t)HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE;
	const size_t plane = bits_size() / HSPAN_BITS_PLANES;

	(void)heap;
	madvise(embedded.space.data + (size_t)block * HSPAN_BLOCK_SIZE, HSPAN_BLOCK_SIZE,
		MADV_DONTNEED);
	for (int i = 0; i < HSPAN_BITS_PLANES; i++)
		drop_bits(embedded.space.bits + (size_t)i * plane + block * bits, bits);
}

static const struct hspan_heap_ops ops = {
	.block_get = block_get,
	.page_map = page_map,
	.block_put = block_put,
};

static int map_data(size_t size)
{
	embedded.data_map_size = size + HSPAN_BLOCK_SIZE;
	embedded.data_map = hs_map(embedded.data_map_size);
	if (!embedded.data_map)
		return -ENOMEM;
	embedded.space.data = (char *)(((uintptr_t)embedded.data_map + HSPAN_BLOCK_SIZE - 1) &
				       ~(HSPAN_BLOCK_SIZE - 1));
	embedded.space.size = size;
	madvise(embedded.space.data, size, MADV_HUGEPAGE);
	return 0;
}

static void embedded_close(void)
{
	if (embedded.heap)
		hspan_heap_destroy(embedded.heap);
	hs_unmap(embedded.control, HSPAN_PAGE_SIZE);
	hs_unmap((void *)embedded.space.page_map, page_map_size());
	hs_unmap(embedded.space.bits, bits_size());
	hs_unmap(embedded.space.notes, page_map_size());
	hs_unmap(embedded.data_map, embedded.data_map_size);
	memset(&embedded, 0, sizeof(embedded));
}

static uint8_t *map_bits(void)
{
	void *p;

	if (!embedded.space.shared_bits)
		return hs_map(bits_size());
	p = mmap(NULL, bits_size(), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static int embedded_open(size_t arena_size, struct hs_space *space)
{
	int ret = map_data(arena_size);

	if (ret)
		return ret;
	embedded.space.page_map = hs_map(page_map_size());
	embedded.space.shared_bits = space->shared_bits;
	embedded.space.bits = map_bits();
	embedded.space.notes = hs_map(page_map_size());
	embedded.control = hs_map(HSPAN_PAGE_SIZE);
	embedded.space.control = embedded.control;
	embedded.heap = hspan_heap_create(&ops, NULL, (u32)(arena_size >> HSPAN_BLOCK_SHIFT));
	if (!embedded.space.page_map || !embedded.space.bits || !embedded.space.notes ||
	    !embedded.control || !embedded.heap) {
		embedded_close();
		return -ENOMEM;
	}
	hspan_heap_set_control(embedded.heap, embedded.control);
	embedded.space.limit = UINT64_MAX;
	*space = embedded.space;
	return 0;
}

static int embedded_span_get(uint32_t span_class, uint32_t npages, uint32_t flags,
			     struct hspan_span *spans, uint32_t nr)
{
	return hspan_heap_get(embedded.heap, HOLDER, span_class, npages, flags, spans, nr);
}

static int embedded_span_put(struct hspan_put *puts, uint32_t nr)
{
	if (hspan_heap_put_many(embedded.heap, HOLDER, puts, nr) == nr)
		return (int)nr;
	for (uint32_t i = 0; i < nr; i++)
		if (puts[i].error)
			return puts[i].error;
	return 0;
}

static bool embedded_span_extend(uint32_t page, uint32_t npages, uint32_t more, uint32_t *dirty)
{
	return hs_extend(embedded.heap, page, npages, more, dirty);
}

static int embedded_sweep_next(struct hspan_span *spans, uint32_t nr)
{
	return hspan_heap_sweep_next(embedded.heap, HOLDER, spans, nr);
}

static int embedded_cycle(uint32_t *sweepgen)
{
	return hspan_heap_cycle(embedded.heap, sweepgen);
}

static int64_t embedded_release(uint64_t max_blocks)
{
	return (int64_t)hspan_heap_release(embedded.heap, max_blocks);
}

static int embedded_set_limit(uint64_t blocks)
{
	hspan_heap_set_limit(embedded.heap, blocks);
	return 0;
}

static int embedded_notice_fd(void)
{
	return -1;
}

static int embedded_stats(struct hspan_arena_stats *stats)
{
	hspan_heap_stats(embedded.heap, stats);
	return 0;
}

const struct hs_backend hs_backend_embedded = {
	.name = "embedded",
	.open = embedded_open,
	.close = embedded_close,
	.span_get = embedded_span_get,
	.span_put = embedded_span_put,
	.span_extend = embedded_span_extend,
	.sweep_next = embedded_sweep_next,
	.cycle = embedded_cycle,
	.release = embedded_release,
	.set_limit = embedded_set_limit,
	.notice_fd = embedded_notice_fd,
	.stats = embedded_stats,
};

/* SPDX-License-Identifier: MIT */
/* Growing a large span where it is; over a heap in this process only. */
#ifndef HS_SPAN_EXTEND_H
#define HS_SPAN_EXTEND_H

#include <stdbool.h>
#include <stdint.h>

struct hspan_heap;

/**
 * hs_extend - take the free pages right behind a large span
 * @heap: the heap
 * @page: first page of the span, which nobody gives up meanwhile
 * @npages: pages of it
 * @more: so many more
 * @dirty: pages of these that may not be zero
 *
 * No further than to the end of the block that the span reaches into.  False
 * when they are not free, or the span no longer has @npages.
 */
bool hs_extend(struct hspan_heap *heap, uint32_t page, uint32_t npages, uint32_t more,
	       uint32_t *dirty);

#endif /* HS_SPAN_EXTEND_H */

// SPDX-License-Identifier: MIT
/* What malloc tells of itself, and malloc_trim(). */
#include <malloc.h>

#include "hm.h"

#define API HM_EXPORT __attribute__((used))

struct sums {
	size_t held;
	size_t used;
	size_t huge;
};

static struct sums sum_up(void)
{
	struct hspan_arena_stats st = {0};
	struct sums sums = {0};

	if (!hm_init())
		return sums;
	hm_pages_stats(&st);
	sums.held = st.blocks_held << HSPAN_BLOCK_SHIFT;
	sums.used = st.pages_used << HSPAN_PAGE_SHIFT;
	sums.huge = hm_huge_bytes();
	return sums;
}

/* Slots are counted as in use by whole spans. */
API struct mallinfo2 mallinfo2(void)
{
	struct sums sums = sum_up();

	return (struct mallinfo2){
		.arena = sums.held,
		.hblkhd = sums.huge,
		.usmblks = 0,
		.uordblks = sums.used,
		.fordblks = sums.held - sums.used,
	};
}

API struct mallinfo mallinfo(void)
{
	struct sums sums = sum_up();

	return (struct mallinfo){
		.arena = (int)sums.held,
		.hblkhd = (int)sums.huge,
		.uordblks = (int)sums.used,
		.fordblks = (int)(sums.held - sums.used),
	};
}

API void malloc_stats(void)
{
	struct sums sums = sum_up();

	if (!hm.ready)
		return;
	hs_log("hugespan: %s backend: %zu KiB of blocks, %zu KiB of them in spans, "
	       "%zu KiB of huge objects, %u heaps\n",
	       hm_pages_backend(), sums.held >> 10, sums.used >> 10, sums.huge >> 10,
	       hm_heaps_count());
}

/* @pad is not kept: blocks are given back whole, or what is free in them. */
API int malloc_trim(size_t pad)
{
	(void)pad;
	return hm_init() && hm_purge_all();
}

/* No parameter is known here. */
API int mallopt(int param, int value)
{
	(void)param;
	(void)value;
	return 0;
}

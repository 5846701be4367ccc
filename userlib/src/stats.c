// SPDX-License-Identifier: MIT
/* Figures and knobs that a program may read and turn while it runs. */
#include <errno.h>
#include <string.h>

#include "limit.h"
#include "pacer.h"
#include "profile.h"

#define STATS_FIRST_SIZE offsetof(struct hspan_stats, limit) /* in the first release */

static int collect(struct hspan_stats *stats)
{
	struct hspan_arena_stats arena = { 0 };
	int ret;

	hs_enter();
	ret = hs.backend->stats(&arena);
	hs_leave();
	if (ret < 0)
		return ret;
	hs_pacer_stats(stats);
	hs_handshake_stats(stats);
	hs_collector_stats(stats);
	hs_limit_stats(stats);
	hs_watch_stats(stats);
	hs_snapshot_stats(stats);
	hs_profile_stats(stats);
	stats->heap_sys = arena.blocks_held << HSPAN_BLOCK_SHIFT;
	stats->heap_idle = arena.blocks_free << HSPAN_BLOCK_SHIFT;
	stats->faults_data = arena.faults;
	stats->heap_inuse = arena.pages_used << HSPAN_PAGE_SHIFT;
	stats->threads = hs_load(&hs.nr_threads);
	return 0;
}

/* A caller built with a later header gets zeroes where we know nothing. */
HS_EXPORT int hspan_stats_read(struct hspan_stats *stats)
{
	struct hspan_stats known = { 0 };
	size_t size;
	int ret = 0;

	if (!stats || stats->struct_size < STATS_FIRST_SIZE || stats->struct_size > HS_STRUCT_MOST)
		return -EINVAL;
	if (hs.forked)
		return -ENOTSUP;
	if (hs_load_acquire(&hs.ready))
		ret = collect(&known);
	if (ret < 0)
		return ret;
	size = stats->struct_size;
	memset(stats, 0, size);
	memcpy(stats, &known, size < sizeof(known) ? size : sizeof(known));
	stats->struct_size = size;
	return 0;
}

HS_EXPORT int hspan_gc_set_percent(int percent)
{
	return hs_ensure_init() ? -1 : hs_pacer_set_percent(percent);
}

HS_EXPORT size_t hspan_set_memory_limit(size_t bytes)
{
	if (hs_ensure_init() || hs.forked)
		return 0;
	if (bytes && bytes < HSPAN_BLOCK_SIZE)
		bytes = HSPAN_BLOCK_SIZE;
	return hs_limit_set_user(bytes);
}

HS_EXPORT size_t hspan_release(void)
{
	if (!hs_load_acquire(&hs.ready) || hs.forked)
		return 0;
	return hs_release_blocks(UINT64_MAX);
}

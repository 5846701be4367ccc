// SPDX-License-Identifier: MIT
/*
 * Regions: objects allocated one behind the other and given up all at once.
 *
 * A region and its chunks are objects of the heap.  So what a region's objects
 * point to is kept while it is open, by the ordinary marking, and a region that
 * nobody refers to any more is collected with all that is in it.  A pointer
 * into a chunk keeps that chunk.
 *
 * Chunks of closed regions wait in a pool for the next one.  They are cleared
 * first, lest they keep anything alive: by plain stores, which is right only
 * while no thread has to shade.  During a mark phase a chunk is left to the
 * collector instead.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

#define CHUNK_BYTES HSPAN_SMALL_MAX
#define OWN_CHUNK   (CHUNK_BYTES / 4) /* objects above this have one for themselves */
#define ALIGN	    16ul

/**
 * struct chunk - a piece of memory of a region; an object of the heap
 * @older: the one before
 * @memory: @size bytes, another object
 */
struct chunk {
	struct chunk *older;
	char *memory;
	size_t size;
};

/**
 * struct hspan_region - an object of the heap, used by a thread at a time
 * @newest: chunk that is allocated from, if any
 * @memory: its memory
 * @used: bytes of it that are taken
 * @size: bytes it has
 * @flags: HSPAN_REGION_*
 */
struct hspan_region {
	struct chunk *newest;
	char *memory;
	size_t used;
	size_t size;
	unsigned int flags;
};

static struct hspan_pool *free_chunks[2]; /* by noscan */
static pthread_once_t free_chunks_once = PTHREAD_ONCE_INIT;

static void make_pools(void)
{
	free_chunks[0] = hspan_pool_create(NULL, NULL);
	free_chunks[1] = hspan_pool_create(NULL, NULL);
}

HS_EXPORT struct hspan_region *hspan_region_create(unsigned int flags)
{
	struct hspan_region *region;

	if (flags & ~HSPAN_REGION_NOSCAN) {
		errno = EINVAL;
		return NULL;
	}
	pthread_once(&free_chunks_once, make_pools);
	region = hspan_alloc(sizeof(*region));
	if (region)
		region->flags = flags;
	return region;
}

static void *get_memory(const struct hspan_region *region, size_t size)
{
	bool noscan = region->flags & HSPAN_REGION_NOSCAN;
	void *memory = NULL;

	if (size == CHUNK_BYTES && free_chunks[noscan])
		memory = hspan_pool_get(free_chunks[noscan]);
	if (memory)
		return memory;
	return noscan ? hspan_alloc_noscan(size) : hspan_alloc(size);
}

static struct chunk *make_chunk(const struct hspan_region *region, size_t size)
{
	struct chunk *chunk = hspan_alloc(sizeof(*chunk));

	if (!chunk)
		return NULL;
	chunk->size = size;
	hspan_store(&chunk->memory, get_memory(region, size));
	return chunk->memory ? chunk : NULL;
}

/* A chunk of @size bytes for one object, behind the one that is allocated from. */
static void *alloc_own(struct hspan_region *region, size_t size)
{
	struct chunk *chunk = make_chunk(region, size);
	struct chunk *newest = region->newest;

	if (!chunk)
		return NULL;
	if (newest) {
		hspan_store(&chunk->older, newest->older);
		hspan_store(&newest->older, chunk);
	} else {
		hspan_store(&region->newest, chunk);
		region->used = region->size = 0;
	}
	return chunk->memory;
}

static bool add_chunk(struct hspan_region *region)
{
	struct chunk *chunk = make_chunk(region, CHUNK_BYTES);

	if (!chunk)
		return false;
	hspan_store(&chunk->older, region->newest);
	hspan_store(&region->newest, chunk);
	hspan_store(&region->memory, chunk->memory);
	region->size = CHUNK_BYTES;
	region->used = 0;
	return true;
}

HS_EXPORT void *hspan_region_alloc(struct hspan_region *region, size_t size)
{
	size_t need = (size + !size + ALIGN - 1) & ~(ALIGN - 1);
	char *object;

	if (unlikely(need > region->size - region->used || need < size)) {
		if (need > OWN_CHUNK || need < size)
			return alloc_own(region, size);
		if (!add_chunk(region))
			return NULL;
	}
	object = region->memory + region->used;
	region->used += need;
	return object;
}

/* Into the pool, or to the collector. */
static void put_memory(bool noscan, void *memory, size_t size)
{
	bool pooled = false;

	if (size == CHUNK_BYTES && free_chunks[noscan]) {
		hs_enter();
		pooled = noscan || !hs_load(&hs.marking);
		if (pooled && (!noscan || hs.config.debug & HSPAN_DEBUG_CLOBBER))
			memset(memory, noscan ? 0xdb : 0, size);
		hs_leave();
	}
	if (pooled)
		hspan_pool_put(free_chunks[noscan], memory);
	else
		hspan_free(memory);
}

HS_EXPORT void hspan_region_reset(struct hspan_region *region)
{
	struct chunk *chunk = region->newest, *older;

	hspan_store(&region->newest, NULL);
	hspan_store(&region->memory, NULL);
	region->used = region->size = 0;
	for (; chunk; chunk = older) {
		older = chunk->older;
		put_memory(region->flags & HSPAN_REGION_NOSCAN, chunk->memory, chunk->size);
		hspan_free(chunk);
	}
}

HS_EXPORT void hspan_region_destroy(struct hspan_region *region)
{
	if (!region)
		return;
	hspan_region_reset(region);
	hspan_free(region);
}

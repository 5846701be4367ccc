/* SPDX-License-Identifier: MIT */
/*
 * Grey objects on their way to a marker: chunks of pointers, and the list that
 * hands full ones from whoever shades to whoever marks.
 *
 * An entry is any word that may point into the heap; the marker finds out
 * whether it does.  With bit 0 set it is the start of the next piece of a
 * large object that is marked already.
 */
#ifndef HS_WORK_H
#define HS_WORK_H

#include "internal.h"

#define HS_CHUNK_ENTRIES 510
#define HS_PIECE_TAG 1u

/**
 * struct hs_chunk - entries on their way
 * @kind: between members of a team (team.h): what the entries are
 */
struct hs_chunk {
	struct hs_chunk *next;
	uint32_t count;
	uint32_t kind;
	uintptr_t entry[HS_CHUNK_ENTRIES];
};

/* An empty chunk; dies when the system has no memory for one. */
struct hs_chunk *hs_chunk_get(void);
void hs_chunk_free(struct hs_chunk *chunk);

/* Hand a chunk over to the markers / take one, or NULL. */
void hs_work_push(struct hs_chunk *chunk);
struct hs_chunk *hs_work_pop(void);

/* How often hs_work_push() was called; nothing grey has come while it stands. */
uint64_t hs_work_pushes(void);
bool hs_work_empty(void);

/* Forget what is listed: it was about another heap. */
void hs_work_reset(void);

/*
 * Wait until there may be work or @timeout_ns has passed.  Returns at once when
 * work was pushed, or somebody woke us, since @seq was read: so what one waits
 * for is looked at between the two calls.
 */
int hs_work_seq(void);
void hs_work_wait(int seq, long timeout_ns);
void hs_work_wake(void);

/* There is work for somebody who may be waiting. */
void hs_work_tell(void);

/* Wait for hs_work_wake() since @seq was read, or for work that comes meanwhile. */
void hs_work_sleep(int seq);

static inline bool hs_chunk_full(const struct hs_chunk *chunk)
{
	return chunk->count == HS_CHUNK_ENTRIES;
}

/* Add an entry to the chunk at *@chunk, passing it on first when full. */
static inline void hs_chunk_put(struct hs_chunk **chunk, uintptr_t entry)
{
	if (unlikely(!*chunk || hs_chunk_full(*chunk))) {
		if (*chunk)
			hs_work_push(*chunk);
		*chunk = hs_chunk_get();
	}
	(*chunk)->entry[(*chunk)->count++] = entry;
}

/* Add a word that the program holds.  It may be odd: that is no tag. */
static inline void hs_chunk_add(struct hs_chunk **chunk, uintptr_t word)
{
	hs_chunk_put(chunk, word & ~(uintptr_t)7);
}

#endif /* HS_WORK_H */

/* SPDX-License-Identifier: MIT */
/* The marker: from grey objects to black ones, a FIFO of prefetches at a time. */
#ifndef HS_MARK_H
#define HS_MARK_H

#include "bits.h"
#include "scan.h"
#include "share.h"
#include "team.h"

#define HS_FIFO 16 /* objects whose memory is on its way to the cache */

/** struct hs_pending - an object in the FIFO, and where to go on in it */
struct hs_pending {
	struct hs_object o;
	uintptr_t piece; /* 0, or the piece of a large, marked object */
};

/**
 * struct hs_marker - one who marks: a member of the team, or a mutator that assists
 * @member: its number, or HS_NO_MEMBER: it gives nothing away
 * @chunk: grey words of its own
 * @fifo, @head, @count: objects being prefetched, oldest at @head
 * @bytes, @objects: marked by it in this cycle
 * @words: words it looked at
 * @share: how much CPU a member took
 * @spans: what a member has seen and has to visit; NULL: it does without
 */
struct hs_marker {
	unsigned int member;
	struct hs_chunk *chunk;
	struct hs_pending fifo[HS_FIFO];
	unsigned int head, count;
	uint64_t bytes, objects, words;
	struct hs_share share;
	struct hs_spans *spans;
};

/* To be called before any other: how to scan is chosen. */
void hs_mark_init(void);
const struct hs_scanner *hs_mark_scanner(void);

static inline struct hs_scan hs_scan_of(uint32_t page, uint32_t span_class)
{
	bool typed = unlikely(hs_load(&hs.typed)) && span_class >> 1 != 1;

	return (struct hs_scan){ .heap = hs.base,
				 .heap_size = hs.size,
				 .base = hs_page_address(page),
				 .layout = typed ? hs_plane1(page) : NULL };
}

/*
 * Mark until there is nothing to do here or on the work list, or @budget
 * words were scanned (0 = no bound).  True when nothing was left.
 */
bool hs_mark_drain(struct hs_marker *m, uint64_t budget);

/* Give what is not done back to the work list. */
void hs_mark_hand_back(struct hs_marker *m);

#endif /* HS_MARK_H */

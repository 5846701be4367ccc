/* SPDX-License-Identifier: MIT */
/*
 * What markers that gather objects by spans have in common, and who of them has
 * which part of the heap.
 *
 * Pages belong to shards (slots.h), and a shard has one owner.  Only its owner
 * reads and writes what is known of its pages: so none of it is atomic.  What
 * another marker finds in it is sent to the owner, a chunk of slots at a time.
 *
 *	An object that was seen and is allocated and not marked is in a span that
 *	the owner of its shard has queued or is visiting.
 *
 * A shard goes to another owner as a message too:
 *
 *	1. It is sent first, then the new owner is made known.  So whoever sends to
 *	   the new owner comes behind; what still goes to the old one is sent on.
 *	2. It is given away by him only whom all know as the owner.  Else the old
 *	   owner's word of the new one might come after the new one's of a third.
 *	3. None of its spans is in the ring of who gives it.
 */
#ifndef HS_SHARDS_H
#define HS_SHARDS_H

#include "pages.h"
#include "scan.h"
#include "spans.h"
#include "team.h"

#define HS_SEEN_WORDS  8 /* a cache line: 1 << HS_SLOTS_SHIFT bits */
#define HS_RING	       8 /* spans on their way to the cache: first their bits, */
#define HS_READY       4 /* then objects of the first ones */
#define HS_FOUND_WORDS (HSPAN_PAGE_SIZE / 8)

/** struct hs_visit - a span, and its objects that this marker has to scan */
struct hs_visit {
	uint32_t page;
	uint32_t span_class;
	uint32_t count; /* of @fresh */
	uint64_t fresh[HS_SEEN_WORDS];
};

/**
 * struct hs_spans - one marker's part
 * @id: its number in the team
 * @mine: a bit for each shard that it owns
 * @seen: a line for each page of the heap: the slots of its span
 * @touched: for each block: something of it was seen in this cycle
 * @scan, @noscan: spans to visit, with pointers and without
 * @away: for each other member, slots on their way to it, or NULL
 * @ring, @head, @count, @ready: to be scanned next, oldest at @head; of the
 *	first @ready what was seen is marked
 * @local: objects point to others of their span: all of it is going to be wanted
 *
 * @seen, @touched and the sets' bits are the same for all.
 */
struct hs_spans {
	unsigned int id;
	uint64_t mine;
	uint64_t (*seen)[HS_SEEN_WORDS];
	uint8_t *touched;
	const struct hs_scanner *scanner;
	hs_locate_fn *locate;
	struct hs_pages scan, noscan;
	struct hs_chunk *away[HS_MAX_MARKERS];
	struct hs_visit ring[HS_RING];
	unsigned int head, count, ready;
	bool local;
	uintptr_t found[HS_FOUND_WORDS + HS_SCAN_SLACK];
};

/* See @n slots, which are this marker's. */
void hs_spans_see_slots(struct hs_spans *s, const uint64_t *slots, unsigned int n);

/* @n slots are for the owners of their shards. */
void hs_shards_send(struct hs_spans *s, const uint64_t *slots, unsigned int n);

/* What is to be sent goes now. */
void hs_shards_post(struct hs_spans *s);

#endif /* HS_SHARDS_H */

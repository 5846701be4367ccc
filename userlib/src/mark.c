// SPDX-License-Identifier: MIT
/*
 * The marking loop.
 *
 * Everything is a cache miss on a large heap; what counts is how many are
 * under way at once.  A grey word is turned into its object, the object's
 * first line and its mark bits are prefetched, and it waits in a FIFO until
 * HS_FIFO - 1 others have followed it.  Members of the team gather small
 * objects by spans instead, see spans.c.
 */
#include <string.h>

#include "mark.h"
#include "spans.h"

#define PIECE_BYTES (128u << 10) /* of a large object, scanned at a time */
#define AT_ONCE 128		 /* words */
#define GIVE_LEAST 8		 /* words of a chunk, for it to be worth while to give half */

static const struct hs_scanner *scanner;

static void grey(struct hs_marker *m, uintptr_t entry)
{
	hs_chunk_put(&m->chunk, entry);
}

/* The best way this CPU has to scan, unless a test wants another. */
void hs_mark_init(void)
{
	unsigned int debug = hs.config.debug;
	const struct hs_scanner *last;

	for (unsigned int i = 0; (last = hs_scanner(i)); i++) {
		scanner = last;
		if (!(debug & (HS_DEBUG_SCAN_AVX2 | HS_DEBUG_SCAN_PORTABLE)) ||
		    (debug & HS_DEBUG_SCAN_AVX2 && !strcmp(scanner->name, "avx2")))
			return;
	}
}

const struct hs_scanner *hs_mark_scanner(void)
{
	return scanner;
}

static void found(struct hs_marker *m, const uintptr_t *words, size_t n)
{
	if (m->spans)
		hs_spans_see_found(m, words, n);
	else
		for (size_t i = 0; i < n; i++)
			grey(m, words[i] & ~(uintptr_t)7);
}

static void scan(struct hs_marker *m, const struct hs_object *o, uintptr_t from, size_t bytes)
{
	uintptr_t words[AT_ONCE + HS_SCAN_SLACK];
	const uintptr_t *p = (const uintptr_t *)from, *end = p + bytes / sizeof(*p);
	struct hs_scan how = hs_scan_of(o->page, o->span_class);

	m->words += (uint64_t)(end - p);
	while (p < end) {
		size_t n = end - p < AT_ONCE ? (size_t)(end - p) : AT_ONCE;

		found(m, words, scanner->words(&how, p, n, words));
		p += n;
	}
}

/* Scan a piece of a large object and leave the rest for later, or for others. */
static void scan_large(struct hs_marker *m, const struct hs_object *o, uintptr_t from)
{
	size_t left = o->base + hs_large_size(o->page) - from;

	if (left > PIECE_BYTES) {
		grey(m, (from + PIECE_BYTES) | HS_PIECE_TAG);
		left = PIECE_BYTES;
	}
	scan(m, o, from, left);
}

static bool has_own_scan(struct hs_marker *m, const struct hs_object *o)
{
	return unlikely(hs.hooks) && hs.hooks->scan(m, o);
}

static void blacken(struct hs_marker *m, const struct hs_pending *p)
{
	const struct hs_object *o = &p->o;

	if (p->piece) {
		scan_large(m, o, p->piece);
		return;
	}
	if (!hs_is_allocated(o) || !hs_mark(o))
		return;
	m->objects++;
	if (unlikely(o->span_class < 2)) {
		m->bytes += (hs_large_size(o->page) + HSPAN_PAGE_SIZE - 1) & ~(HSPAN_PAGE_SIZE - 1);
		if (!o->span_class && !has_own_scan(m, o))
			scan_large(m, o, o->base);
		return;
	}
	m->bytes += hspan_class_size[o->span_class >> 1];
	if (!(o->span_class & 1) && !has_own_scan(m, o))
		scan(m, o, o->base, hspan_class_size[o->span_class >> 1]);
}

static void prefetch_layout(const struct hs_object *o)
{
	size_t at = (o->base - (uintptr_t)hs_page_address(o->page)) >> 3;

	__builtin_prefetch(&hs_plane1(o->page)[at >> 6]);
}

/* Into the FIFO with the object @word points into, if there is one. */
static void stage(struct hs_marker *m, uintptr_t word)
{
	struct hs_pending *p = &m->fifo[(m->head + m->count) % HS_FIFO];

	if (!hs_find(word & ~(uintptr_t)7, &p->o))
		return;
	p->piece = word & HS_PIECE_TAG ? word & ~(uintptr_t)7 : 0;
	__builtin_prefetch(&hs_mark_bits(p->o.page)[p->o.slot >> 6], 1);
	if (!(p->o.span_class & 1)) {
		__builtin_prefetch((const void *)p->o.base);
		if (unlikely(hs_load(&hs.typed)))
			prefetch_layout(&p->o);
	}
	m->count++;
}

static bool take_word(struct hs_marker *m, uintptr_t *word)
{
	struct hs_chunk *chunk = m->chunk;

	if (unlikely(!chunk || !chunk->count)) {
		chunk = m->spans ? NULL : hs_work_pop();
		if (!chunk)
			return false;
		if (m->chunk)
			hs_chunk_free(m->chunk);
		m->chunk = chunk;
	}
	*word = chunk->entry[--chunk->count];
	return true;
}

/*
 * What is on the work list is for spans first.  Of the rest there is room for one
 * chunk, as ours is empty: so none of it goes back to the list.
 */
static bool take_in(struct hs_marker *m)
{
	struct hs_chunk *chunk = hs_work_pop();

	if (!chunk)
		return false;
	hs_spans_see(m, chunk->entry, chunk->count);
	hs_chunk_free(chunk);
	return true;
}

/* Give half of our words. */
static void give_words(struct hs_marker *m)
{
	struct hs_chunk *half, *mine = m->chunk;

	half = hs_chunk_get();
	half->count = mine->count / 2;
	for (uint32_t i = 0; i < half->count; i++)
		half->entry[i] = mine->entry[i];
	for (uint32_t i = half->count; i < mine->count; i++)
		mine->entry[i - half->count] = mine->entry[i];
	mine->count -= half->count;
	hs_work_push(half);
}

/* Give those who have nothing to do part of what we have. */
static void share(struct hs_marker *m)
{
	bool words = m->chunk && m->chunk->count >= GIVE_LEAST;
	bool spans = m->spans && hs_spans_can_give(m);
	uint64_t wants;

	if (!words && !spans)
		return;
	wants = hs_team_take_wants();
	if (spans && wants & ~HS_WANT_WORDS)
		hs_spans_give(m, wants & ~HS_WANT_WORDS);
	if (!hs_work_empty())
		return;
	if (spans && wants & HS_WANT_WORDS)
		hs_spans_give_words(m);
	if (words)
		give_words(m);
}

static void blacken_first(struct hs_marker *m)
{
	/* The slot is free for stage() only after blacken() is done. */
	blacken(m, &m->fifo[m->head]);
	m->head = (m->head + 1) % HS_FIFO;
	m->count--;
}

/* Spans without pointers come last: by then all of their objects are seen. */
static bool visit(struct hs_marker *m)
{
	return hs_spans_receive(m) || hs_spans_visit(m) || take_in(m) || hs_spans_mark_noscan(m);
}

bool hs_mark_drain(struct hs_marker *m, uint64_t budget)
{
	uint64_t stop = m->words + budget;
	uintptr_t word;

	for (;;) {
		while (m->count < HS_FIFO && take_word(m, &word))
			stage(m, word);
		if (m->count)
			blacken_first(m);
		else if (!m->spans || !visit(m))
			return true;
		if (hs_team_wants() && m->member != HS_NO_MEMBER)
			share(m);
		if (budget && m->words >= stop)
			return false;
	}
}

void hs_mark_hand_back(struct hs_marker *m)
{
	while (m->count) {
		struct hs_pending *p = &m->fifo[m->head];

		grey(m, p->piece ? p->piece | HS_PIECE_TAG : p->o.base);
		m->head = (m->head + 1) % HS_FIFO;
		m->count--;
	}
	if (m->chunk && m->chunk->count)
		hs_work_push(m->chunk);
	else if (m->chunk)
		hs_chunk_free(m->chunk);
	m->chunk = NULL;
}

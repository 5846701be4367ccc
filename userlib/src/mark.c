// SPDX-License-Identifier: MIT
/*
 * The marking loop.
 *
 * Everything is a cache miss on a large heap; what counts is how many are
 * under way at once.  A grey word is turned into its object, the object's
 * first line and its mark bits are prefetched, and it waits in a FIFO until
 * HS_FIFO - 1 others have followed it.  A marker that works alone gathers small
 * objects by spans instead, see spans.c.
 */
#include "mark.h"
#include "spans.h"

#define PIECE_BYTES (128u << 10) /* of a large object, scanned at a time */

static void grey(struct hs_marker *m, uintptr_t entry)
{
	hs_chunk_put(&m->chunk, entry);
}

/* Every word of [@p, @end) that points into the heap is grey. */
__attribute__((no_sanitize("address", "thread"))) static void
scan_conservative(struct hs_marker *m, const uintptr_t *p, const uintptr_t *end)
{
	uintptr_t base = hs.base;
	size_t size = hs.size;

	for (; p < end; p++) {
		uintptr_t word = *(const volatile uintptr_t *)p;

		if (word - base < size)
			grey(m, word & ~(uintptr_t)7);
	}
}

/* The same, but for words whose layout bit says that they are no pointers. */
__attribute__((no_sanitize("address", "thread"))) static void
scan_layout(struct hs_marker *m, uint32_t page, const uintptr_t *p, const uintptr_t *end)
{
	const uint64_t *layout = hs_plane1(page);
	size_t i = (size_t)(p - (const uintptr_t *)hs_page_address(page));
	size_t last = i + (size_t)(end - p);

	while (i < last) {
		size_t stop = (i | 63) + 1 < last ? (i | 63) + 1 : last;
		uint64_t maybe = ~hs_load(&layout[i >> 6]) >> (i & 63);

		if (stop - i < 64)
			maybe &= (1ull << (stop - i)) - 1;
		for (; maybe; maybe &= maybe - 1) {
			uintptr_t word = *(const volatile uintptr_t *)(p + __builtin_ctzll(maybe));

			if (hs_in_heap(word))
				grey(m, word & ~(uintptr_t)7);
		}
		p += stop - i;
		i = stop;
	}
}

static void scan(struct hs_marker *m, const struct hs_object *o, uintptr_t from, size_t bytes)
{
	const uintptr_t *p = (const uintptr_t *)from;
	const uintptr_t *end = p + bytes / sizeof(*p);

	m->words += (uint64_t)(end - p);
	if (m->spans)
		hs_spans_scan(m, o, p, (size_t)(end - p));
	else if (unlikely(hs_load(&hs.typed)) && o->span_class >> 1 != 1)
		scan_layout(m, o->page, p, end);
	else
		scan_conservative(m, p, end);
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
		if (!o->span_class)
			scan_large(m, o, o->base);
		return;
	}
	m->bytes += hspan_class_size[o->span_class >> 1];
	if (!(o->span_class & 1))
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

/* Does anybody want work that finds none? */
static bool is_asked(const struct hs_marker *m)
{
	return m->hungry && (hs_load(m->hungry) || hs_load(m->starved)) && hs_work_empty();
}

/* Give half of what we have. */
static void share(struct hs_marker *m)
{
	struct hs_chunk *half, *mine = m->chunk;

	hs_set(m->starved, 0);
	if (m->spans)
		hs_spans_share(m);
	if (!mine || mine->count < 8)
		return;
	half = hs_chunk_get();
	half->count = mine->count / 2;
	for (uint32_t i = 0; i < half->count; i++)
		half->entry[i] = mine->entry[i];
	for (uint32_t i = half->count; i < mine->count; i++)
		mine->entry[i - half->count] = mine->entry[i];
	mine->count -= half->count;
	hs_work_push(half);
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
	return hs_spans_visit(m) || take_in(m) || hs_spans_mark_noscan(m);
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
		if (is_asked(m))
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

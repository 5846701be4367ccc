// SPDX-License-Identifier: MIT
/*
 * Marking a span at a time.
 *
 * A word that points into a span is only *seen*: it sets a bit of that span in
 * a table of the marker's own, and the span's page waits in a set (pages.h).  When
 * its turn comes, many of its objects have been seen, and all is done at once:
 *
 *	fresh = seen & allocated & ~marked;   marked |= fresh;   scan fresh
 *
 * Here a marker meets mutators that assist, and that allocate black: so the mark
 * bits, and they alone, are changed by atomics, a word of 64 objects at a time.
 * Who sets a mark bit scans the object.
 *
 * A bit once set in "seen" stays for the cycle: what is seen again costs
 * nothing.  So this must hold whenever hs_spans_see() has returned:
 *
 *	an object that a marker has seen and that is allocated and not marked is
 *	in a span that this marker has queued or is visiting.
 *
 * That is why an object given to others (hs_spans_share()) is unseen again: it
 * may come back.
 */
#include <string.h>

#include "pages.h"
#include "scan.h"
#include "slots.h"
#include "spans.h"

#define SEEN_WORDS   8 /* a cache line: 1 << HS_SLOTS_SHIFT bits */
#define RING	     8 /* spans on their way to the cache: first their bits, */
#define READY	     4 /* then objects of the first ones */
#define FEW	     4 /* objects that are better followed one by one when nothing else waits */
#define BATCH	     64
#define SHARE_CHUNKS 16
#define BUFFER_WORDS (HSPAN_PAGE_SIZE / 8)

/** struct visit - a span, and its objects that this marker has to scan */
struct visit {
	uint32_t page;
	uint32_t span_class;
	uint32_t count; /* of @fresh */
	uint64_t fresh[SEEN_WORDS];
};

/**
 * struct hs_spans - what one marker has seen in this cycle
 * @seen: a line for each page: the slots of its span
 * @touched: for each block: something of it was seen since it was last clean
 * @scan, @noscan: spans to visit, with pointers and without
 * @ring, @head, @count, @ready: to be scanned next, oldest at @head; of the
 *	first @ready what was seen is marked
 * @local: objects point to others of their span: all of it is going to be wanted
 */
struct hs_spans {
	uint64_t (*seen)[SEEN_WORDS];
	uint8_t *touched;
	size_t pages, blocks;
	const struct hs_scanner *scanner;
	hs_locate_fn *locate;
	struct hs_pages scan, noscan;
	struct visit ring[RING];
	unsigned int head, count, ready;
	bool local;
	uintptr_t found[BUFFER_WORDS + HS_SCAN_SLACK];
};

/* The best way this CPU has to scan, unless a test wants another. */
static const struct hs_scanner *choose_scanner(void)
{
	const struct hs_scanner *scanner, *last = NULL;
	unsigned int debug = hs.config.debug;

	for (unsigned int i = 0; (scanner = hs_scanner(i)); i++) {
		if (!(debug & (HS_DEBUG_SCAN_AVX2 | HS_DEBUG_SCAN_PORTABLE)) ||
		    (debug & HS_DEBUG_SCAN_AVX2 && !strcmp(scanner->name, "avx2")))
			return scanner;
		last = scanner;
	}
	return last;
}

void hs_spans_destroy(struct hs_spans *s)
{
	if (!s)
		return;
	hs_pages_exit(&s->scan);
	hs_pages_exit(&s->noscan);
	hs_unmap(s->seen, s->pages * sizeof(*s->seen));
	hs_unmap(s->touched, s->blocks);
	hs_unmap(s, sizeof(*s));
}

struct hs_spans *hs_spans_create(void)
{
	struct hs_spans *s = hs.config.debug & HS_DEBUG_NO_SPANS ? NULL : hs_map(sizeof(*s));

	if (!s)
		return NULL;
	hs_slots_init();
	s->scanner = choose_scanner();
	s->locate = hs_locate_by(s->scanner->name);
	s->pages = hs.size >> HSPAN_PAGE_SHIFT;
	s->blocks = hs.size >> HSPAN_BLOCK_SHIFT;
	s->seen = hs_map(s->pages * sizeof(*s->seen));
	s->touched = hs_map(s->blocks);
	if (hs_pages_init(&s->scan) && hs_pages_init(&s->noscan) && s->seen && s->touched)
		return s;
	hs_spans_destroy(s);
	return NULL;
}

void hs_spans_forget(struct hs_spans *s)
{
	for (size_t b = 0; s && b < s->blocks; b++) {
		if (!s->touched[b])
			continue;
		s->touched[b] = 0;
		memset(s->seen[b * HSPAN_BLOCK_PAGES], 0, HSPAN_BLOCK_PAGES * sizeof(*s->seen));
	}
}

/* Seeing ------------------------------------------------------------------- */

static void enqueue(struct hs_spans *s, uint32_t page, bool noscan)
{
	hs_pages_put(noscan ? &s->noscan : &s->scan, page);
	s->touched[page >> HS_PAGES_BLOCK_SHIFT] = 1;
}

static void see(struct hs_spans *s, const uint64_t *slots, unsigned int n)
{
	uint64_t *seen = &s->seen[0][0];

	for (unsigned int i = 0; i < n; i++)
		__builtin_prefetch(&seen[(slots[i] & ~HS_SLOT_NOSCAN) >> 6], 1);
	for (unsigned int i = 0; i < n; i++) {
		bool noscan = slots[i] & HS_SLOT_NOSCAN;
		uint64_t slot = slots[i] & ~HS_SLOT_NOSCAN, *word = &seen[slot >> 6], was = *word;
		uint64_t bit = 1ull << (slot & 63);
		uint32_t page = (uint32_t)(slot >> HS_SLOTS_SHIFT);

		if (was & bit)
			continue;
		*word = was | bit;
		if (!hs_pages_has(noscan ? &s->noscan : &s->scan, page))
			enqueue(s, page, noscan);
	}
}

/*
 * So little is to be done, a list perhaps, that it is not worth while to wait for
 * more objects of a span.
 */
static bool is_sparse(const struct hs_marker *m, size_t n)
{
	const struct hs_spans *s = m->spans;

	return !s->scan.count && !s->count && n + (m->chunk ? m->chunk->count : 0) <= FEW;
}

void hs_spans_see(struct hs_marker *m, const uintptr_t *words, size_t n)
{
	uint64_t slot[BATCH + HS_SLOTS_SLACK];
	uintptr_t other[BATCH + HS_SLOTS_SLACK];

	if (is_sparse(m, n)) {
		for (size_t i = 0; i < n; i++)
			hs_chunk_put(&m->chunk, words[i]);
		return;
	}
	for (size_t done = 0; done < n; done += BATCH) {
		unsigned int batch = n - done < BATCH ? (unsigned int)(n - done) : BATCH;
		struct hs_located found = { .slot = slot, .other = other };

		m->spans->locate(words + done, batch, &found);
		see(m->spans, slot, found.slots);
		for (unsigned int i = 0; i < found.others; i++)
			hs_chunk_put(&m->chunk, other[i]);
	}
}

/* Visiting ----------------------------------------------------------------- */

/* Mark what was seen and is white.  False when there was none. */
static bool settle(struct hs_marker *m, uint32_t page, struct visit *v)
{
	const uint64_t *seen = m->spans->seen[page];
	uint32_t sc = HSPAN_PM_CLASS(hs_load(&hs.page_map[page])), n = hs_bit_words(sc);
	const uint64_t *alloc = hs_alloc_bits(page, sc);
	uint64_t *mark = hs_mark_bits(page), objects = 0;

	v->page = page;
	v->span_class = sc;
	for (uint32_t w = 0; w < n; w++) {
		uint64_t fresh = seen[w] & hs_load_acquire(&alloc[w]) & ~hs_load(&mark[w]);

		if (fresh) {
			fresh &= ~__atomic_fetch_or(&mark[w], fresh, __ATOMIC_RELAXED);
			objects += (uint64_t)__builtin_popcountll(fresh);
		}
		v->fresh[w] = fresh;
	}
	v->count = (uint32_t)objects;
	m->objects += objects;
	m->bytes += objects * hspan_class_size[sc >> 1];
	return objects;
}

/* Of the slots of @size bytes in @bits, one for each cache line. */
static uint64_t lines_of(uint64_t bits, uint32_t size)
{
	if (size == 16)
		bits |= (bits | bits >> 1) >> 2 | bits >> 1, bits &= 0x1111111111111111;
	else if (size == 32)
		bits = (bits | bits >> 1) & 0x5555555555555555;
	return bits;
}

static void prefetch_page(uint32_t page)
{
	const char *p = hs_page_address(page);

	for (size_t at = 0; at < HSPAN_PAGE_SIZE; at += 64)
		__builtin_prefetch(p + at);
}

static void prefetch_objects(const struct visit *v)
{
	uint32_t size = hspan_class_size[v->span_class >> 1];
	const char *p = hs_page_address(v->page);

	for (uint32_t w = 0; w < hs_bit_words(v->span_class); w++, p += 64 * (size_t)size)
		for (uint64_t f = lines_of(v->fresh[w], size); f; f &= f - 1)
			__builtin_prefetch(p + (size_t)__builtin_ctzll(f) * size);
}

/* First comes a span's line of bits, then it is marked and its objects come. */
static void fill_ring(struct hs_marker *m)
{
	struct hs_spans *s = m->spans;

	while (s->count < RING && s->scan.count) {
		uint32_t page = hs_pages_take(&s->scan);

		__builtin_prefetch(hs_plane0(page), 1);
		__builtin_prefetch(hs_plane0(page) + SEEN_WORDS);
		if (unlikely(hs_load(&hs.typed))) {
			__builtin_prefetch(hs_plane1(page));
			__builtin_prefetch(hs_plane1(page) + SEEN_WORDS);
		}
		s->ring[(s->head + s->count++) % RING].page = page;
	}
	while (s->ready < READY && s->ready < s->count) {
		struct visit *v = &s->ring[(s->head + s->ready++) % RING];

		if (!settle(m, v->page, v))
			continue;
		if (s->local)
			prefetch_page(v->page);
		else
			prefetch_objects(v);
	}
}

static struct hs_scan scan_of(uint32_t page, uint32_t span_class)
{
	bool typed = unlikely(hs_load(&hs.typed)) && span_class >> 1 != 1;

	return (struct hs_scan){ .heap = hs.base,
				 .heap_size = hs.size,
				 .base = hs_page_address(page),
				 .layout = typed ? hs_plane1(page) : NULL };
}

bool hs_spans_visit(struct hs_marker *m)
{
	struct hs_spans *s = m->spans;
	uint64_t before, first;
	struct visit *v;
	struct hs_scan scan;

	fill_ring(m);
	if (!s->count)
		return false;
	v = &s->ring[s->head];
	s->head = (s->head + 1) % RING;
	s->count--;
	s->ready--;
	scan = scan_of(v->page, v->span_class);
	before = m->objects;
	first = v->count;
	do {
		size_t n = s->scanner->objects(&scan, hspan_class_size[v->span_class >> 1],
					       v->fresh, hs_bit_words(v->span_class), s->found);

		hs_spans_see(m, s->found, n);
	} while (settle(m, v->page, v)); /* it may have pointed to others of its span */
	hs_pages_remove(&s->scan, v->page);
	s->local = m->objects - before > first;
	return true;
}

void hs_spans_scan(struct hs_marker *m, const struct hs_object *o, const uintptr_t *p, size_t n)
{
	struct hs_spans *s = m->spans;
	struct hs_scan scan = scan_of(o->page, o->span_class);

	while (n) {
		size_t piece = n < BUFFER_WORDS ? n : BUFFER_WORDS;

		hs_spans_see(m, s->found, s->scanner->words(&scan, p, piece, s->found));
		p += piece;
		n -= piece;
	}
}

bool hs_spans_mark_noscan(struct hs_marker *m)
{
	struct hs_spans *s = m->spans;
	struct visit v;

	if (!s->noscan.count)
		return false;
	while (s->noscan.count)
		settle(m, hs_pages_take(&s->noscan), &v);
	return true;
}

/* Sharing ------------------------------------------------------------------ */

/* The objects that a span was queued for become words of @chunk. */
static void give_words(struct hs_spans *s, uint32_t page, struct hs_chunk **chunk)
{
	uint32_t sc = HSPAN_PM_CLASS(hs_load(&hs.page_map[page]));
	uint32_t size = hspan_class_size[sc >> 1];
	uintptr_t base = (uintptr_t)hs_page_address(page);
	const uint64_t *mark = hs_mark_bits(page);

	for (uint32_t w = 0; w < hs_bit_words(sc); w++) {
		uint64_t give = s->seen[page][w] & ~hs_load(&mark[w]);

		s->seen[page][w] &= ~give;
		for (; give; give &= give - 1)
			hs_chunk_put(chunk,
				     base + (w * 64 + (uint32_t)__builtin_ctzll(give)) * size);
	}
}

void hs_spans_share(struct hs_marker *m)
{
	struct hs_spans *s = m->spans;
	struct hs_chunk *chunk = NULL;
	size_t half = s->scan.count / 2;
	uint64_t pushes = hs_work_pushes();

	while (half-- && hs_work_pushes() - pushes < SHARE_CHUNKS)
		give_words(s, hs_pages_take(&s->scan), &chunk);
	if (chunk)
		hs_work_push(chunk);
}

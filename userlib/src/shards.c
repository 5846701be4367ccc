// SPDX-License-Identifier: MIT
/* Shards of the heap: their tables, their owners, and mail between these. */
#include <string.h>

#include "shards.h"

#define GIVE_LEAST 16 /* spans to visit, for it to be worth while to give some */
#define SHARE_CHUNKS 16

enum kind { SLOTS, SHARDS }; /* of a chunk; of shards: which, and up to which block */

/**
 * struct tables - what all have in common
 * @seen, @touched, @scan, @noscan: see struct hs_spans and struct hs_pages
 * @owner: of each shard; written by the owner
 * @spans: each member's
 */
static struct {
	uint64_t (*seen)[HS_SEEN_WORDS];
	uint8_t *touched;
	uint64_t *scan, *noscan;
	size_t pages, blocks;
	uint8_t owner[HS_SHARDS];
	struct hs_spans *spans[HS_MAX_MARKERS];
} tables;

/* Making and clearing ------------------------------------------------------ */

static void destroy(struct hs_spans *s)
{
	if (!s)
		return;
	hs_pages_exit(&s->scan);
	hs_pages_exit(&s->noscan);
	hs_unmap(s, sizeof(*s));
}

void hs_spans_destroy(void)
{
	for (unsigned int i = 0; i < HS_MAX_MARKERS; i++)
		destroy(tables.spans[i]);
	hs_unmap(tables.seen, tables.pages * sizeof(*tables.seen));
	hs_unmap(tables.touched, tables.blocks);
	hs_unmap(tables.scan, hs_pages_bytes(tables.pages));
	hs_unmap(tables.noscan, hs_pages_bytes(tables.pages));
	memset(&tables, 0, sizeof(tables));
}

static bool make_tables(void)
{
	tables.pages = hs.size >> HSPAN_PAGE_SHIFT;
	tables.blocks = hs.size >> HSPAN_BLOCK_SHIFT;
	tables.seen = hs_map(tables.pages * sizeof(*tables.seen));
	tables.touched = hs_map(tables.blocks);
	tables.scan = hs_map(hs_pages_bytes(tables.pages));
	tables.noscan = hs_map(hs_pages_bytes(tables.pages));
	return tables.seen && tables.touched && tables.scan && tables.noscan;
}

static bool make_spans(unsigned int id)
{
	struct hs_spans *s = hs_map(sizeof(*s));

	tables.spans[id] = s;
	if (!s)
		return false;
	s->id = id;
	s->seen = tables.seen;
	s->touched = tables.touched;
	s->scanner = hs_mark_scanner();
	s->locate = hs_locate_by(s->scanner->name);
	return hs_pages_init(&s->scan, tables.scan) && hs_pages_init(&s->noscan, tables.noscan);
}

/* All is the collector's, until others ask for work. */
static void begin_again(void)
{
	memset(tables.owner, 0, sizeof(tables.owner));
	for (unsigned int i = 0; i < HS_MAX_MARKERS && tables.spans[i]; i++) {
		tables.spans[i]->mine = i ? 0 : ~0ull;
		hs_pages_forget(&tables.spans[i]->scan);
		hs_pages_forget(&tables.spans[i]->noscan);
	}
}

void hs_spans_create(unsigned int members)
{
	bool made;

	if (hs.config.debug & HS_DEBUG_NO_SPANS)
		return;
	hs_slots_init();
	made = make_tables();
	for (unsigned int i = 0; i < members && made; i++)
		made = make_spans(i);
	if (made)
		begin_again();
	else
		hs_spans_destroy();
}

struct hs_spans *hs_spans_of(unsigned int member)
{
	return tables.spans[member];
}

void hs_spans_forget(void)
{
	for (size_t b = 0; b < tables.blocks; b++) {
		if (!tables.touched[b])
			continue;
		tables.touched[b] = 0;
		memset(tables.seen[b * HSPAN_BLOCK_PAGES], 0,
		       HSPAN_BLOCK_PAGES * sizeof(*tables.seen));
	}
	begin_again();
}

/* Mail --------------------------------------------------------------------- */

void hs_shards_send(struct hs_spans *s, const uint64_t *slots, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		unsigned int to = hs_load_acquire(&tables.owner[hs_shard_of_slot(slots[i])]);
		struct hs_chunk **chunk = &s->away[to];

		if (unlikely(!*chunk))
			*chunk = hs_chunk_get();
		(*chunk)->entry[(*chunk)->count++] = slots[i];
		if (unlikely(hs_chunk_full(*chunk))) {
			hs_team_send(to, *chunk);
			*chunk = NULL;
		}
	}
}

void hs_shards_post(struct hs_spans *s)
{
	for (unsigned int i = 0; i < hs_team_size(); i++) {
		if (s->away[i])
			hs_team_send(i, s->away[i]);
		s->away[i] = NULL;
	}
}

/* Slots were sent to us; some perhaps when they were ours no longer. */
static void sort(struct hs_spans *s, uint64_t *slots, unsigned int n)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (likely(s->mine >> hs_shard_of_slot(slots[i]) & 1))
			slots[kept++] = slots[i];
		else
			hs_shards_send(s, &slots[i], 1);
	}
	hs_spans_see_slots(s, slots, kept);
}

bool hs_spans_receive(struct hs_marker *m)
{
	struct hs_spans *s = m->spans;
	struct hs_chunk *chunk, *next;

	if (!hs_team_has_mail(s->id))
		return false;
	for (chunk = hs_team_receive(s->id); chunk; chunk = next) {
		next = chunk->next;
		if (chunk->kind == SHARDS) {
			s->mine |= chunk->entry[0];
			hs_pages_take_over(&s->scan, chunk->entry[0], (uint32_t)chunk->entry[1]);
			hs_pages_take_over(&s->noscan, chunk->entry[0], (uint32_t)chunk->entry[1]);
		} else {
			sort(s, chunk->entry, chunk->count);
		}
		hs_chunk_free(chunk);
	}
	return true;
}

/* Giving ------------------------------------------------------------------- */

static uint64_t every_second(uint64_t bits)
{
	uint64_t some = 0;

	for (; bits; bits &= bits - 1) {
		bits &= bits - 1; /* the first stays */
		some |= bits & -bits;
	}
	return some;
}

/* What is in the ring was taken out of its set, but "seen" is still needed. */
static uint64_t shards_in_ring(const struct hs_spans *s)
{
	uint64_t shards = 0;

	for (unsigned int i = 0; i < s->count; i++) {
		uint32_t page = s->ring[(s->head + i) % HS_RING].page;

		shards |= 1ull << hs_shard_of_block(page >> HS_PAGES_BLOCK_SHIFT);
	}
	return shards;
}

/* Of @shards, those of which all know that they are ours. */
static uint64_t known(const struct hs_spans *s, uint64_t shards)
{
	uint64_t ours = 0;

	for (; shards; shards &= shards - 1)
		if (hs_load_acquire(&tables.owner[__builtin_ctzll(shards)]) == s->id)
			ours |= shards & -shards;
	return ours;
}

/* Half of the shards with work; of the others what is more than our share. */
static uint64_t choose(const struct hs_spans *s)
{
	uint64_t ring = shards_in_ring(s);
	uint64_t busy = hs_pages_shards(&s->scan) | hs_pages_shards(&s->noscan);
	uint64_t give = every_second(busy & ~ring), idle = s->mine & ~busy & ~ring;

	if ((unsigned int)__builtin_popcountll(s->mine) > HS_SHARDS / hs_team_size())
		give |= every_second(idle);
	return known(s, give);
}

static void give_shards(struct hs_spans *s, unsigned int to)
{
	uint64_t give = choose(s);
	struct hs_chunk *chunk;

	if (!give)
		return;
	chunk = hs_chunk_get();
	chunk->kind = SHARDS;
	chunk->entry[0] = give;
	chunk->entry[1] = s->scan.end > s->noscan.end ? s->scan.end : s->noscan.end;
	s->mine &= ~give;
	hs_pages_let_go(&s->scan, give);
	hs_pages_let_go(&s->noscan, give);
	hs_team_send(to, chunk);
	for (; give; give &= give - 1)
		hs_set_release(&tables.owner[__builtin_ctzll(give)], (uint8_t)to);
}

bool hs_spans_can_give(const struct hs_marker *m)
{
	return m->spans->scan.count + m->spans->noscan.count >= GIVE_LEAST;
}

void hs_spans_give(struct hs_marker *m, uint64_t members)
{
	struct hs_spans *s = m->spans;

	for (members &= ~(1ull << s->id); members; members &= members - 1)
		give_shards(s, (unsigned int)__builtin_ctzll(members));
	hs_shards_post(s);
}

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

void hs_spans_give_words(struct hs_marker *m)
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

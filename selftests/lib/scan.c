// SPDX-License-Identifier: MIT
/*
 * Property test of what marking does by vectors: each scanner this CPU has finds in
 * any object what a plain loop finds, in the same order, and reads nothing beyond
 * it; and each way from words to slots goes where hs_find() goes.
 */
#include <sys/mman.h>

#include "common.h"
#include "../../userlib/src/bits.h"
#include "../../userlib/src/scan.h"
#include "../../userlib/src/slots.h"

#define SPAN_BYTES 8192
#define SPAN_WORDS (SPAN_BYTES / 8)
#define HEAP	   ((uintptr_t)0x7f0000000000)
#define HEAP_SIZE  ((size_t)64 << 30)

static uintptr_t *span; /* what is before and behind it cannot be read */
static uint64_t layout[SPAN_WORDS / 64 + 1];

static int setup(void **state)
{
	char *p = mmap(NULL, 4 * SPAN_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (p == MAP_FAILED)
		return -1;
	p += SPAN_BYTES + (-(uintptr_t)p & (SPAN_BYTES - 1)); /* as a span is */
	span = (uintptr_t *)p;
	return mprotect(p, SPAN_BYTES, PROT_READ | PROT_WRITE);
}

/* Pointers, what just is none, and anything. */
static uintptr_t random_word(uint64_t *seed, unsigned int percent)
{
	static const uintptr_t edges[] = {0,
					  1,
					  HEAP - 1,
					  HEAP - 8,
					  HEAP,
					  HEAP + HEAP_SIZE - 1,
					  HEAP + HEAP_SIZE,
					  HEAP + ((uintptr_t)1 << 63),
					  INTPTR_MAX,
					  (uintptr_t)INTPTR_MIN,
					  UINTPTR_MAX};
	uint64_t r = next_random(seed);

	if (r % 100 < percent)
		return HEAP + (r >> 8) % HEAP_SIZE;
	return r & 128 ? edges[(r >> 8) % ARRAY_SIZE(edges)] : next_random(seed);
}

static void fill(uint64_t *seed)
{
	unsigned int pointers = (unsigned int)(next_random(seed) % 101);
	uint64_t mask = next_random(seed) % 2 ? ~0ull : next_random(seed);

	for (int i = 0; i < SPAN_WORDS; i++)
		span[i] = random_word(seed, pointers);
	for (size_t i = 0; i < ARRAY_SIZE(layout); i++)
		layout[i] = next_random(seed) & mask;
}

/* The plain loop. */
static size_t find(const struct hs_scan *s, size_t from, size_t n, uintptr_t *out)
{
	size_t found = 0;

	for (size_t i = from; i < from + n; i++) {
		if (s->layout && s->layout[i / 64] >> i % 64 & 1)
			continue;
		if (span[i] >= s->heap && span[i] < s->heap + s->heap_size)
			out[found++] = span[i];
	}
	return found;
}

static struct hs_scan random_scan(uint64_t *seed)
{
	return (struct hs_scan){ .heap = HEAP,
				 .heap_size = HEAP_SIZE,
				 .base = (const char *)span,
				 .layout = next_random(seed) % 2 ? layout : NULL };
}

static void assert_same(const char *name, const uintptr_t *want, size_t n, const uintptr_t *got,
			size_t m, size_t size)
{
	if (n == m && !memcmp(want, got, n * sizeof(*want)))
		return;
	print_error("%s: %zu words instead of %zu, objects of %zu bytes\n", name, m, n, size);
	fail();
}

static void finds_what_a_loop_finds_in_objects(void **state)
{
	uintptr_t want[SPAN_WORDS], got[SPAN_WORDS + HS_SCAN_SLACK];
	uint64_t seed = 4711;

	(void)state;
	for (long round = EFFORT(20000); round--;) {
		size_t size = 8 * (1 + next_random(&seed) % 64), slots = SPAN_BYTES / size, n = 0;
		uint64_t which[SPAN_WORDS / 64] = {0}, few = next_random(&seed);
		struct hs_scan s = random_scan(&seed);
		const struct hs_scanner *scanner;

		if (round % 3 == 0)
			size = 16 << round / 3 % 2, slots = SPAN_BYTES / size;
		fill(&seed);
		for (size_t i = 0; i < slots; i++) {
			if (next_random(&seed) % 7 < few % 9) {
				which[i / 64] |= 1ull << i % 64;
				n += find(&s, i * (size / 8), size / 8, want + n);
			}
		}
		for (unsigned int k = 0; (scanner = hs_scanner(k)); k++)
			assert_same(scanner->name, want, n, got,
				    scanner->objects(&s, size, which, (slots + 63) / 64, got),
				    size);
	}
}

static void finds_what_a_loop_finds_in_rows(void **state)
{
	uintptr_t want[SPAN_WORDS], got[SPAN_WORDS + HS_SCAN_SLACK];
	uint64_t seed = 1147;

	(void)state;
	for (long round = EFFORT(20000); round--;) {
		size_t from = next_random(&seed) % SPAN_WORDS;
		size_t most = round % 2 ? 20 : SPAN_WORDS, len = next_random(&seed) % most;
		struct hs_scan s = random_scan(&seed);
		const struct hs_scanner *scanner;
		size_t n;

		if (len > SPAN_WORDS - from)
			len = SPAN_WORDS - from;
		fill(&seed);
		n = find(&s, from, len, want);
		for (unsigned int k = 0; (scanner = hs_scanner(k)); k++)
			assert_same(scanner->name, want, n, got,
				    scanner->words(&s, span + from, len, got), len * 8);
	}
}

#define PAGES 4096 /* eight shards */
#define WORDS 64

/* A page map of all classes; a span of several pages begins up to 8 before. */
static void fill_page_map(uint32_t *page_map, uint64_t *seed)
{
	for (uint32_t i = 0; i < PAGES; i++) {
		uint32_t sc = (uint32_t)(next_random(seed) % HSPAN_NR_SPAN_CLASSES);
		uint32_t pages = sc < 2 ? 8 : hspan_class_pages[sc >> 1];
		uint32_t back = (uint32_t)(next_random(seed) % pages);

		page_map[i] = HSPAN_PM_ENTRY(i < back ? i : i - back, sc);
		if (next_random(seed) % 8 == 0)
			page_map[i] = HSPAN_PM_NONE;
	}
}

static void add_slot(struct hs_located *found, const struct hs_object *o)
{
	uint64_t slot = (uint64_t)o->page << HS_SLOTS_SHIFT | o->slot |
			(o->span_class & 1 ? HS_SLOT_NOSCAN : 0);

	if (found->mine >> o->page / (2 * HSPAN_BLOCK_PAGES) % HS_SHARDS & 1)
		found->slot[found->slots++] = slot;
	else
		found->away[found->aways++] = slot;
}

/* The same by hs_find(). */
static void find_slots(const uintptr_t *words, unsigned int n, struct hs_located *found)
{
	struct hs_object o;

	for (unsigned int i = 0; i < n; i++) {
		uint32_t entry = hs.page_map[(words[i] - hs.base) >> HSPAN_PAGE_SHIFT];

		if (entry == HSPAN_PM_NONE)
			continue;
		if (!hs_class_has_slots(HSPAN_PM_CLASS(entry)))
			found->other[found->others++] = words[i];
		else if (hs_find(words[i], &o))
			add_slot(found, &o);
	}
}

static bool has_scanner(const char *name)
{
	const struct hs_scanner *scanner;

	for (unsigned int k = 0; (scanner = hs_scanner(k)); k++)
		if (!strcmp(scanner->name, name))
			return true;
	return false;
}

static void slots_are_where_objects_are(void **state)
{
	static const char *const names[] = {"avx512", "avx2", "portable"};
	static uint32_t page_map[PAGES];
	uint64_t seed = 7411, slot[2][WORDS + HS_SLOTS_SLACK], away[2][WORDS + HS_SLOTS_SLACK];
	uintptr_t words[WORDS], other[2][WORDS + HS_SLOTS_SLACK];

	(void)state;
	hs.base = HEAP;
	hs.size = PAGES * HSPAN_PAGE_SIZE;
	hs.page_map = page_map;
	hs_slots_init();
	for (long round = EFFORT(20000); round--;) {
		struct hs_located want = { .slot = slot[0], .away = away[0], .other = other[0] };
		unsigned int n = (unsigned int)(next_random(&seed) % (WORDS + 1));

		want.mine = round % 3 ? next_random(&seed) : ~0ull;
		if (round % 16 == 0)
			fill_page_map(page_map, &seed);
		for (unsigned int i = 0; i < n; i++)
			words[i] = HEAP + next_random(&seed) % hs.size;
		find_slots(words, n, &want);
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			struct hs_located got = {
				.mine = want.mine, .slot = slot[1], .away = away[1], .other = other[1]
			};

			if (!has_scanner(names[k]))
				continue;
			hs_locate_by(names[k])(words, n, &got);
			assert_int_equal(got.slots, want.slots);
			assert_int_equal(got.aways, want.aways);
			assert_int_equal(got.others, want.others);
			assert_memory_equal(slot[0], slot[1], want.slots * sizeof(slot[0][0]));
			assert_memory_equal(away[0], away[1], want.aways * sizeof(away[0][0]));
			assert_memory_equal(other[0], other[1], want.others * sizeof(other[0][0]));
		}
	}
	hs.base = 0;
	hs.size = 0;
	hs.page_map = NULL;
}

/* So that a run that tests the portable one alone can be told from others. */
static void names_them(void **state)
{
	const struct hs_scanner *scanner;
	unsigned int n = 0;

	(void)state;
	for (; (scanner = hs_scanner(n)); n++)
		printf("# scanner: %s\n", scanner->name);
	assert_in_range(n, 1, 3);
	assert_string_equal(hs_scanner(n - 1)->name, "portable");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_them),
		cmocka_unit_test(finds_what_a_loop_finds_in_objects),
		cmocka_unit_test(finds_what_a_loop_finds_in_rows),
		cmocka_unit_test(slots_are_where_objects_are),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

// SPDX-License-Identifier: MIT
/* Precise, conservative and noscan objects: what each keeps alive. */
#include "common.h"

#define MOST_WORDS 2100

static void *root[4];

static void refuses_bad_types(void **state)
{
	uint64_t bits = 1;

	(void)state;
	errno = 0;
	assert_null(hspan_type_create(0, &bits, 1));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(hspan_type_create(16, NULL, 2));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(hspan_type_create(16, &bits, 3));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(hspan_type_create(7, &bits, 1));
	assert_int_equal(errno, EINVAL);
	hspan_type_destroy(NULL);
}

static void refuses_bad_arrays(void **state)
{
	uint64_t bits = 1;
	struct hspan_type *odd = hspan_type_create(12, &bits, 1);
	struct hspan_type *even = hspan_type_create(16, &bits, 1);

	(void)state;
	assert_non_null(odd);
	assert_non_null(even);
	assert_non_null(hspan_alloc_array(odd, 1));
	errno = 0;
	assert_null(hspan_alloc_array(odd, 2));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(hspan_alloc_array(even, SIZE_MAX / 16 + 1));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hspan_alloc_array(even, SIZE_MAX / 16));
	assert_int_equal(errno, ENOMEM);
	assert_non_null(hspan_alloc_array(even, 0));
	hspan_type_destroy(odd);
	hspan_type_destroy(even);
}

/* Objects of a layout, each word of which points to an object of its own. */
struct layout {
	size_t words; /* of one element */
	size_t n;     /* elements; 0 = hspan_alloc_typed() */
	bool untyped, noscan;
	uint64_t bitmap[MOST_WORDS / 64 + 1];
	hidden_t self;
	hidden_t child[MOST_WORDS];
	bool lives[MOST_WORDS];
};

static size_t all_words(const struct layout *l)
{
	return l->words * (l->n ? l->n : 1);
}

static bool is_pointer(const struct layout *l, size_t word)
{
	word %= l->words;
	if (l->noscan)
		return false;
	return l->untyped || l->bitmap[word / 64] >> (word % 64) & 1;
}

static void make_layout(void *arg)
{
	struct layout *l = arg;
	struct hspan_type *type = NULL;
	void **p;

	if (l->noscan) {
		p = hspan_alloc_noscan(l->words * 8);
	} else if (l->untyped) {
		p = hspan_alloc(l->words * 8);
	} else {
		type = hspan_type_create(l->words * 8, l->bitmap, l->words);
		must(type);
		p = l->n ? hspan_alloc_array(type, l->n) : hspan_alloc_typed(type);
		hspan_type_destroy(type); /* it need not outlive the call */
	}
	must(p);
	for (size_t i = 0; i < all_words(l); i++)
		must(l->noscan || !p[i]);
	hspan_store(&root[0], p);
	l->self = hide(p);
	for (size_t i = 0; i < all_words(l); i++) {
		void *child = hspan_alloc_noscan(8 + i % 3 * 24);

		must(child);
		l->child[i] = hide(child);
		hspan_store(&p[i], child);
	}
}

/* What lives after a cycle is what the layout says, word for word. */
static void check_layout(struct layout *l)
{
	elsewhere(make_layout, l);
	hspan_gc();
	hspan_gc();
	assert_true(alive(l->self));
	look(l->child, all_words(l), l->lives);
	for (size_t i = 0; i < all_words(l); i++) {
		if (l->lives[i] != is_pointer(l, i))
			print_error("words %zu n %zu untyped %d: word %zu\n", l->words, l->n,
				    l->untyped, i);
		assert_int_equal(l->lives[i], is_pointer(l, i));
	}
	hspan_store(&root[0], NULL);
}

static void random_bitmap(struct layout *l, uint64_t *seed, int density)
{
	for (size_t i = 0; i < l->words; i++)
		if (next_random(seed) % 8 < (uint64_t)density)
			l->bitmap[i / 64] |= 1ull << (i % 64);
}

static const size_t word_counts[] = { 1,  2,  3,  4,   5,   6,	 7,   8,   9,	12,  15,
				      16, 17, 31, 32,  33,  47,	 63,  64,  65,	66,  100,
				      127, 128, 129, 191, 192, 193, 255, 256, 257, 500, 1023,
				      1024, 1025, 2047, 2048, 2049 };

static void typed_words(void **state)
{
	static struct layout l;
	uint64_t seed = 20261120;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(word_counts); i++) {
		for (int density = 1; density <= 7; density += 3) {
			memset(&l, 0, sizeof(l));
			l.words = word_counts[i];
			random_bitmap(&l, &seed, density);
			check_layout(&l);
		}
	}
}

/* The first and the last word alone, where words of layout bits meet. */
static void typed_edges(void **state)
{
	static struct layout l;

	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(word_counts); i++) {
		memset(&l, 0, sizeof(l));
		l.words = word_counts[i];
		l.bitmap[0] = 1;
		check_layout(&l);
		l.bitmap[0] = 0;
		l.bitmap[(l.words - 1) / 64] |= 1ull << ((l.words - 1) % 64);
		check_layout(&l);
	}
}

static void arrays(void **state)
{
	static const size_t shapes[][2] = { { 1, 2 },  { 1, 64 },  { 1, 65 }, { 2, 33 },
					    { 3, 21 }, { 3, 22 },  { 3, 43 }, { 5, 100 },
					    { 7, 9 },  { 7, 300 }, { 63, 3 }, { 64, 3 },
					    { 65, 3 }, { 65, 32 }, { 129, 16 } };
	static struct layout l;
	uint64_t seed = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		memset(&l, 0, sizeof(l));
		l.words = shapes[i][0];
		l.n = shapes[i][1];
		random_bitmap(&l, &seed, 4);
		check_layout(&l);
	}
}

static void conservative_keeps_all(void **state)
{
	static struct layout l;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(word_counts); i++) {
		memset(&l, 0, sizeof(l));
		l.words = word_counts[i];
		l.untyped = true;
		check_layout(&l);
	}
}

static void noscan_keeps_nothing(void **state)
{
	static struct layout l;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(word_counts); i++) {
		memset(&l, 0, sizeof(l));
		l.words = word_counts[i];
		l.noscan = true;
		check_layout(&l);
	}
}

/* Slots change between typed and conservative use; no layout may stay behind. */
static void layouts_do_not_linger(void **state)
{
	static struct layout l;
	uint64_t seed = 7;

	(void)state;
	for (int i = 0; i < EFFORT(300); i++) {
		memset(&l, 0, sizeof(l));
		l.words = 1 + next_random(&seed) % 40;
		l.untyped = next_random(&seed) % 3 == 0;
		random_bitmap(&l, &seed, 3);
		check_layout(&l);
	}
}

/* A bitmap that ends early: the words behind it are no pointers. */
static void short_bitmap(void **state)
{
	static hidden_t h[2];
	uint64_t bits = ~0ull;
	struct hspan_type *type = hspan_type_create(80, &bits, 1);
	void **p = hspan_alloc_typed(type);

	(void)state;
	hspan_store(&root[0], p);
	for (int i = 0; i < 2; i++) {
		void *child = hspan_alloc(200);

		h[i] = hide(child);
		hspan_store(&p[i], child);
		child = NULL;
		scrub();
	}
	p = NULL;
	for (int i = 0; i < 100; i++)
		assert_non_null(hspan_alloc(200)); /* other values for stale registers */
	scrub();
	hspan_gc();
	assert_true(alive(h[0]));
	assert_false(alive(h[1]));
	hspan_store(&root[0], NULL);
	hspan_type_destroy(type);
}

static int setup(void **state)
{
	int ret = heap_setup(state);

	return ret ? ret : hspan_root_add(root, sizeof(root));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(conservative_keeps_all), /* before anything is typed */
		cmocka_unit_test(noscan_keeps_nothing),
		cmocka_unit_test(refuses_bad_types),
		cmocka_unit_test(refuses_bad_arrays),
		cmocka_unit_test(typed_words),
		cmocka_unit_test(typed_edges),
		cmocka_unit_test(arrays),
		cmocka_unit_test(conservative_keeps_all),
		cmocka_unit_test(noscan_keeps_nothing),
		cmocka_unit_test(layouts_do_not_linger),
		cmocka_unit_test(short_bitmap),
	};

	return cmocka_run_group_tests(tests, setup, heap_teardown);
}

// SPDX-License-Identifier: MIT
/* hspan_realloc() and aligned allocation. */
#include "common.h"

static void *root[64];

static void fill(unsigned char *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)(i * 7 + seed);
}

static bool is_filled(const unsigned char *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] != (unsigned char)(i * 7 + seed))
			return false;
	return true;
}

static bool is_zero(const unsigned char *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (p[i])
			return false;
	return true;
}

static void any_size_to_any_size(void **state)
{
	static const size_t sizes[] = { 1, 8, 9, 16, 100, 500, 513, 3000, 32768, 32769, 40000, 41000,
					100000, 3000000 };

	(void)state;
	for (size_t a = 0; a < ARRAY_SIZE(sizes); a++) {
		for (size_t b = 0; b < ARRAY_SIZE(sizes); b++) {
			unsigned char *p = hspan_alloc(sizes[a]), *q;
			size_t usable = hspan_usable_size(p), less;

			fill(p, sizes[a], (unsigned int)b);
			q = hspan_realloc(p, sizes[b]);
			assert_non_null(q);
			assert_ptr_equal(hspan_base(q), q);
			less = sizes[a] < sizes[b] ? sizes[a] : sizes[b];
			assert_true(hspan_usable_size(q) >= sizes[b]);
			assert_true(is_filled(q, less, (unsigned int)b));
			if (usable < hspan_usable_size(q))
				assert_true(is_zero(q, usable, hspan_usable_size(q)));
		}
	}
}

static void stays_where_there_is_room(void **state)
{
	char *p = hspan_alloc(100), *q = hspan_alloc(40001), *r = hspan_alloc_noscan(33000);

	(void)state;
	assert_ptr_equal(hspan_realloc(p, hspan_usable_size(p)), p);
	assert_ptr_equal(hspan_realloc(p, 60), p);
	assert_ptr_not_equal(hspan_realloc(p, 20), p);
	assert_ptr_equal(hspan_realloc(q, 40960), q);
	assert_int_equal(hspan_usable_size(q), 40960);
	assert_true(is_zero((unsigned char *)q, 0, 40960));
	assert_ptr_equal(hspan_realloc(r, 40900), r);
}

/*
 * Free pages behind a large object become its own.  What was there before, from
 * an object that is gone, is not seen, and what comes there is scanned.
 */
static void fill_a_block(void *arg)
{
	(void)arg;
	memset(hspan_alloc_noscan(2 << 20), 0xa5, 2 << 20);
}

static void grows_in_place(void **state)
{
	const size_t step = 100000, most = 1900000;
	void **p, **moved;
	int moves = 0;

	(void)state;
	elsewhere(fill_a_block, NULL);
	hspan_gc();
	for (int i = 1; i < 10; i++)
		hspan_store(&root[i], hspan_alloc(24));
	p = hspan_alloc(1000000);
	hspan_store(&root[0], p);
	for (size_t size = 1000000; size < most; size += step) {
		size_t had = hspan_usable_size(p);

		moved = hspan_realloc(p, size + step);
		assert_non_null(moved);
		moves += moved != p;
		p = moved;
		hspan_store(&root[0], p);
		assert_ptr_equal(hspan_base((char *)p + size + step - 1), p);
		assert_true(is_zero((unsigned char *)p, had, hspan_usable_size(p)));
		hspan_store(&p[(size + step) / 8 - 1], root[(size + step) / step - 10]);
		hspan_store(&root[(size + step) / step - 10], NULL);
		hspan_gc();
		for (size_t i = 1000000 + step; i <= size + step; i += step)
			assert_ptr_equal(hspan_base(p[i / 8 - 1]), p[i / 8 - 1]);
	}
	if (!strcmp(hspan_backend_name(), "embedded"))
		assert_true(moves <= 1);
	hspan_store(&root[0], NULL);
}

/* A word in what a large object has gained is a pointer like any other. */
static void what_is_gained_is_scanned(void **state)
{
	void **p = hspan_alloc(40000);

	(void)state;
	hspan_store(&root[0], p);
	assert_ptr_equal(hspan_realloc(p, 40960), p);
	hspan_store(&p[5119], hspan_alloc(24));
	hspan_gc();
	assert_ptr_equal(hspan_base(p[5119]), p[5119]);
	hspan_store(&root[0], NULL);
}

/* A new object for one that is scanned is scanned. */
static void pointers_are_still_seen(void **state)
{
	hidden_t seen;
	void **p;

	(void)state;
	p = hspan_realloc(hspan_alloc(16), 5000);
	hspan_store(&root[0], p);
	hspan_store(&p[600], hspan_alloc(48));
	seen = hide(p[600]);
	p = NULL;
	scrub();
	hspan_gc();
	assert_true(alive(seen));
	hspan_store(&root[0], NULL);
}

static void what_cannot_be(void **state)
{
	char *p = hspan_alloc(64), local;

	(void)state;
	errno = 0;
	assert_null(hspan_realloc(p + 8, 100));
	assert_int_equal(errno, EINVAL);
	assert_null(hspan_realloc(&local, 100));
	errno = 0;
	assert_null(hspan_realloc(p, SIZE_MAX));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hspan_realloc(hspan_alloc(40000), SIZE_MAX));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(hspan_usable_size(hspan_realloc(NULL, 20)), 24);
	assert_non_null(hspan_realloc(NULL, 0));
}

static void aligned_as_asked(void **state)
{
	static const size_t sizes[] = { 0, 1, 17, 100, 1000, 5000, 9000, 32768, 32769, 100000 };

	(void)state;
	for (size_t alignment = 1; alignment <= 2 << 20; alignment *= 2) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			char *p = hspan_alloc_aligned(alignment, sizes[i]), *base;
			char *q = hspan_alloc_noscan_aligned(alignment, sizes[i]);

			assert_int_equal((uintptr_t)p % alignment, 0);
			assert_int_equal((uintptr_t)q % alignment, 0);
			base = hspan_base(p);
			assert_non_null(base);
			assert_true(alignment > 8192 || base == p);
			assert_true(base + hspan_usable_size(p) >= p + sizes[i]);
			assert_true(is_zero((unsigned char *)p, 0, sizes[i]));
			memset(q, 0xa5, sizes[i]);
		}
	}
}

/* A block or more begins with a block, and needs no more for that. */
static void aligned_blocks(void **state)
{
	(void)state;
	for (size_t size = 2 << 20; size < 8 << 20; size += 1234560) {
		char *p = hspan_alloc_noscan_aligned(2 << 20, size);

		assert_int_equal((uintptr_t)p % (2 << 20), 0);
		assert_ptr_equal(hspan_base(p), p);
		assert_true(hspan_usable_size(p) < size + 8);
		hspan_free(p);
	}
}

static void no_such_alignment(void **state)
{
	static const size_t wrong[] = { 0, 3, 24, 4 << 20, SIZE_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		errno = 0;
		assert_null(hspan_alloc_aligned(wrong[i], 16));
		assert_int_equal(errno, EINVAL);
	}
	errno = 0;
	assert_null(hspan_alloc_aligned(2 << 20, SIZE_MAX - 100));
	assert_int_equal(errno, ENOMEM);
}

static int setup(void **state)
{
	int ret = heap_setup(state);

	return ret ? ret : hspan_root_add(root, sizeof(root));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_size_to_any_size),
		cmocka_unit_test(stays_where_there_is_room),
		cmocka_unit_test(grows_in_place),
		cmocka_unit_test(what_is_gained_is_scanned),
		cmocka_unit_test(pointers_are_still_seen),
		cmocka_unit_test(what_cannot_be),
		cmocka_unit_test(aligned_as_asked),
		cmocka_unit_test(aligned_blocks),
		cmocka_unit_test(no_such_alignment),
	};

	return cmocka_run_group_tests(tests, setup, heap_teardown);
}

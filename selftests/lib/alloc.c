// SPDX-License-Identifier: MIT
/* Allocation: sizes, alignment, zeroing, looking objects up, running out. */
#include <linux/hugespan.h>

#include "../../kmod/heap/sizeclass.h"
#include "common.h"

static void *root[256];

/* What hspan_alloc() promises of @p, an object of @size bytes. */
static bool is_sound(const unsigned char *p, size_t size, bool zeroed)
{
	size_t usable = hspan_usable_size(p);

	if (!p || (uintptr_t)p % 8 || (size > 8 && size % 16 == 0 && (uintptr_t)p % 16))
		return false;
	if (usable < size || (size >= 1024 && usable > size + size / 4 + 8192))
		return false;
	for (size_t i = 0; zeroed && i < usable; i++)
		if (p[i])
			return false;
	return true;
}

/* Every address in the object finds it; those next to it do not. */
static bool is_found(char *p)
{
	size_t usable = hspan_usable_size(p), step = usable / 61 + 1;

	for (size_t i = 0; i < usable; i += step)
		if (hspan_base(p + i) != p || hspan_usable_size(p + i) != usable)
			return false;
	return hspan_base(p + usable - 1) == p && hspan_base(p - 1) != p &&
	       hspan_base(p + usable) != p;
}

static void try_size(size_t size, bool noscan)
{
	char *p = noscan ? hspan_alloc_noscan(size) : hspan_alloc(size);

	if (!is_sound((unsigned char *)p, size, !noscan) || !is_found(p))
		print_error("size %zu, %s\n", size, noscan ? "noscan" : "scan");
	assert_true(is_sound((unsigned char *)p, size, !noscan));
	assert_true(is_found(p));
	memset(p, 0xa5, hspan_usable_size(p)); /* for whoever has it next */
}

static void all_sizes(void **state)
{
	(void)state;
	for (size_t size = 0; size <= 40000; size += size < 600 ? 1 : 37) {
		try_size(size, false);
		try_size(size, true);
	}
}

static void class_boundaries(void **state)
{
	(void)state;
	for (int cls = 1; cls < HSPAN_NR_SIZE_CLASSES; cls++) {
		size_t size = hspan_class_size[cls];

		for (size_t s = size - 1; s <= size + 1; s++) {
			try_size(s, false);
			try_size(s, true);
		}
		assert_int_equal(hspan_usable_size(hspan_alloc(size)), size);
		assert_int_equal(hspan_usable_size(hspan_alloc_noscan(size)), size);
	}
}

/* An object of a size known when compiled is like one of the call's. */
static bool is_alike(void *p, void *q, size_t size, bool noscan)
{
	return is_sound(p, size, !noscan) && hspan_usable_size(p) == hspan_usable_size(q) &&
	       hspan_base(p) == p && memset(p, 0x5a, hspan_usable_size(p));
}

#define SAME(n)                                                                          \
	do {                                                                             \
		if (!is_alike(hspan_alloc(n), (hspan_alloc)(n), n, false) ||             \
		    !is_alike(hspan_alloc_noscan(n), (hspan_alloc_noscan)(n), n, true))  \
			fail_msg("size %d differs", n);                                  \
	} while (0)
#define SAME4(n) SAME(n); SAME((n) + 1); SAME((n) + 2); SAME((n) + 3)
#define SAME16(n) SAME4(n); SAME4((n) + 4); SAME4((n) + 8); SAME4((n) + 12)
#define SAME64(n) SAME16(n); SAME16((n) + 16); SAME16((n) + 32); SAME16((n) + 48)
#define SAME256(n) SAME64(n); SAME64((n) + 64); SAME64((n) + 128); SAME64((n) + 192)

static void sizes_known_when_compiled(void **state)
{
	(void)state;
	SAME(0);
	SAME256(1);
	SAME256(257);
	SAME4(513);
	SAME(1000);
	SAME(40000);
}

static void large_sizes(void **state)
{
	static const size_t sizes[] = { 32769,	 40960,	  65536,   65537,   100001, 262144, 262145,
					1000003, 2097152, 2097153, 5000011, 16777216 };

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			try_size(sizes[i], false);
			try_size(sizes[i], true);
		}
		scrub();
		hspan_gc();
	}
}

/* A span's last bytes, where no whole object fits, belong to none. */
static void tail_waste(void **state)
{
	(void)state;
	for (int cls = 2; cls < HSPAN_NR_SIZE_CLASSES; cls++) {
		size_t size = hspan_class_size[cls], n = hspan_class_nelems[cls];
		size_t bytes = hspan_class_pages[cls] * HSPAN_PAGE_SIZE;
		char *last = NULL;

		if (n * size == bytes)
			continue;
		/* Somewhere in two spans' worth there is the last slot of one. */
		for (size_t i = 0; i < 2 * n && !last; i++) {
			char *p = hspan_alloc_noscan(size);

			for (size_t b = 0; b < HSPAN_PAGE_SIZE && !last; b += HSPAN_PAGE_SIZE)
				if (((uintptr_t)p + size + bytes - n * size) % HSPAN_PAGE_SIZE == 0)
					last = p;
		}
		if (!last)
			continue;
		for (size_t i = n * size; i < bytes; i++) {
			char *tail = last + size + (i - n * size);

			assert_null(hspan_base(tail));
			assert_int_equal(hspan_usable_size(tail), 0);
		}
	}
}

static void what_is_no_object(void **state)
{
	static char data[64];
	char *p = hspan_alloc(16);
	char *big = hspan_alloc_noscan(100000);

	(void)state;
	assert_null(hspan_base(NULL));
	assert_null(hspan_base(data));
	assert_null(hspan_base(&p));
	assert_null(hspan_base((void *)UINTPTR_MAX));
	assert_int_equal(hspan_usable_size(NULL), 0);
	assert_int_equal(hspan_usable_size(data), 0);
	/* The part of a large object's last page that was not asked for. */
	assert_int_equal(hspan_usable_size(big), 100000);
	assert_null(hspan_base(big + 100000));
	hspan_free(NULL);
	hspan_free(data);
	hspan_free(p + 8); /* not its start: left alone */
	assert_ptr_equal(hspan_base(p), p);
}

static void huge_sizes(void **state)
{
	static const size_t sizes[] = { SIZE_MAX,	      SIZE_MAX - 1,
					SIZE_MAX - 4095,      SIZE_MAX / 2,
					(size_t)1 << 48,      ((size_t)128 << 30) + 1,
					(size_t)128 << 30,    ((size_t)1 << 37) - 8192 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		errno = 0;
		assert_null(hspan_alloc(sizes[i]));
		assert_int_equal(errno, ENOMEM);
		errno = 0;
		assert_null(hspan_alloc_noscan(sizes[i]));
		assert_int_equal(errno, ENOMEM);
	}
	assert_non_null(hspan_alloc(64));
}

/* Fill, forget, collect: what comes next is zero again, whoever wrote there. */
static void fill(void *arg)
{
	size_t size = *(size_t *)arg;

	for (size_t i = 0; i < 2 + 200000 / size; i++) {
		void *p = hspan_alloc(size);

		must(p);
		memset(p, 0xff, hspan_usable_size(p));
	}
}

static void zero_after_reuse(void **state)
{
	static const size_t sizes[] = { 1,   8,	  16,  24,  40,	 48,   100,  128,    500,  1024,
					1100, 2000, 4096, 5000, 9000, 20000, 32768, 33000, 300000 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i];

		for (int round = 0; round < 3; round++) {
			elsewhere(fill, &size);
			hspan_gc();
			for (size_t k = 0; k < 2 + 200000 / size; k++)
				assert_true(is_sound(hspan_alloc(size), size, true));
		}
	}
}

/* Every third survives: the runs between them are cleared, they are not. */
static void zero_between_survivors(void **state)
{
	(void)state;
	for (size_t size = 8; size <= 2048; size *= 2) {
		for (int round = 0; round < 4; round++) {
			for (size_t i = 0; i < 3 * ARRAY_SIZE(root); i++) {
				uint64_t *p = hspan_alloc(size);

				assert_true(is_sound((void *)p, size, true));
				memset(p, 0x5a, size);
				hspan_store(&root[i / 3], p);
			}
			scrub();
			hspan_gc();
			for (size_t i = 0; i < ARRAY_SIZE(root); i++)
				for (size_t k = 0; k < size / 8; k++)
					assert_int_equal(((uint64_t *)root[i])[k],
							 0x5a5a5a5a5a5a5a5a);
		}
	}
	hspan_clear(root, sizeof(root));
}

/* Soon, not at once: first what is left of the run is used. */
static void free_then_reuse(void **state)
{
	static hidden_t freed[2000];

	(void)state;
	for (size_t size = 8; size <= 4096; size *= 2) {
		bool again = false;

		for (size_t i = 0; i < ARRAY_SIZE(freed) && !again; i++) {
			void *p = hspan_alloc(size);

			assert_true(is_sound(p, size, true));
			for (size_t k = 0; k < i && !again; k++)
				again = freed[k] == hide(p);
			freed[i] = hide(p);
			memset(p, 0x77, size);
			hspan_free(p);
			hspan_free(p); /* as an error goes, a harmless one */
		}
		assert_true(again);
	}
}

/* Without a single collection, freeing by hand keeps the heap small. */
static void free_bounds_the_heap(void **state)
{
	uint64_t before = read_stats().heap_sys;

	(void)state;
	for (int i = 0; i < 300000; i++) {
		void *p = hspan_alloc_noscan(200);

		assert_non_null(p);
		hspan_free(p);
	}
	assert_true(read_stats().heap_sys - before <= 4 << 20);
}

static void *hold[4096];

static size_t fill_to_limit(size_t size)
{
	size_t n = 0;

	errno = 0;
	while (n < ARRAY_SIZE(hold)) {
		void *p = hspan_alloc(size);

		if (!p)
			break;
		hspan_store(&hold[n++], p);
	}
	return n;
}

static void limit_then_recovery(void **state)
{
	static const size_t sizes[] = { 32000, 60000, 1 << 20, 3 << 20 };

	(void)state;
	assert_int_equal(hspan_root_add(hold, sizeof(hold)), 0);
	scrub();
	hspan_gc();
	hspan_release();
	hspan_set_memory_limit(64 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t first, n = fill_to_limit(sizes[i]);

		assert_true(n < ARRAY_SIZE(hold));
		assert_int_equal(errno, ENOMEM);
		assert_true(n * sizes[i] > 30 << 20);
		assert_true(read_stats().heap_sys <= 64 << 20);
		hspan_clear(hold, sizeof(hold));
		scrub();
		first = n;
		n = fill_to_limit(sizes[i]); /* its own collection makes room */
		assert_true(n + 3 >= first - first / 8);
		hspan_clear(hold, sizeof(hold));
		scrub();
		hspan_gc();
	}
	assert_int_equal(hspan_set_memory_limit(1000), 64 << 20);
	hspan_set_memory_limit(0);
	assert_non_null(hspan_alloc(70 << 20));
	assert_int_equal(hspan_root_remove(hold), 0);
}

static void release_gives_back(void **state)
{
	struct hspan_stats before, after;
	size_t bytes;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_non_null(hspan_alloc_noscan(4 << 20));
	scrub();
	hspan_gc();
	before = read_stats();
	assert_true(before.heap_idle >= 40 << 20);
	bytes = hspan_release();
	after = read_stats();
	assert_true(bytes >= 40 << 20);
	assert_int_equal(bytes % HSPAN_BLOCK_SIZE, 0);
	assert_int_equal(after.heap_released - before.heap_released, bytes);
	assert_int_equal(before.heap_sys - after.heap_sys, bytes);
	assert_int_equal(after.heap_idle, 0);
	assert_int_equal(hspan_release(), 0);
	for (int i = 0; i < 20; i++)
		assert_true(is_sound(hspan_alloc(1 << 20), 1 << 20, true));
}

static int setup(void **state)
{
	int ret = heap_setup(state);

	return ret ? ret : hspan_root_add(root, sizeof(root));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sizes),
		cmocka_unit_test(class_boundaries),
		cmocka_unit_test(sizes_known_when_compiled),
		cmocka_unit_test(large_sizes),
		cmocka_unit_test(tail_waste),
		cmocka_unit_test(what_is_no_object),
		cmocka_unit_test(huge_sizes),
		cmocka_unit_test(zero_after_reuse),
		cmocka_unit_test(zero_between_survivors),
		cmocka_unit_test(free_then_reuse),
		cmocka_unit_test(free_bounds_the_heap),
		cmocka_unit_test(limit_then_recovery),
		cmocka_unit_test(release_gives_back),
	};

	return cmocka_run_group_tests(tests, setup, heap_teardown);
}

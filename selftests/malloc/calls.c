// SPDX-License-Identifier: MIT
/* Each call of malloc's family by itself: results, errors, errno, alignment. */
#include <errno.h>
#include <unistd.h>

#include "common.h"

static const size_t sizes[] = {0,     1,     7,	    8,	   9,	    16,	     17,      24,   100,
			       128,   129,   1000,  1024,  1025,    2048,    4095,    8192, 8193,
			       32767, 32768, 32769, 65536, 1 << 20, 5 << 20, 70 << 20};
#define NR_SIZES (sizeof(sizes) / sizeof(*sizes))

/* The compiler must not see that an object is never used. */
static void *hide(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static void test_sizes(void **state)
{
	void *p[NR_SIZES];

	(void)state;
	for (size_t i = 0; i < NR_SIZES; i++) {
		p[i] = hide(malloc(sizes[i]));
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % (sizes[i] > 8 ? 16 : 8), 0);
		assert_true(malloc_usable_size(p[i]) >= sizes[i]);
		paint(p[i], sizes[i], (uint32_t)i);
	}
	for (size_t i = 0; i < NR_SIZES; i++)
		assert_painted(p[i], sizes[i], (uint32_t)i);
	for (size_t i = 0; i < NR_SIZES; i++)
		free(p[i]);
}

static void test_size_bounds_waste(void **state)
{
	(void)state;
	for (size_t size = 129; size <= 32768; size += 13) {
		void *p = hide(malloc(size));

		assert_true(malloc_usable_size(p) <= size + size / (size <= 2048 ? 8 : 4) + 1);
		free(p);
	}
}

/* Memory that was used before, too. */
static void test_zeroed(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < NR_SIZES; i++) {
			unsigned char *p = hide(calloc(1, sizes[i]));

			assert_non_null(p);
			assert_true(is_zero(p, sizes[i]));
			paint(p, sizes[i], 0xff);
			free(p);
		}
	}
	for (int i = 0; i < 20000; i++) {
		unsigned char *p = hide(calloc(3, 700));

		assert_true(is_zero(p, 2100));
		paint(p, 2100, 0xff);
		if (i % 3)
			free(p);
	}
}

static void test_too_much(void **state)
{
	volatile size_t most = SIZE_MAX;
	void *p = malloc(10);

	(void)state;
	paint(p, 10, 3);
	errno = 0;
	assert_null(hide(malloc(most)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hide(malloc(most / 2)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hide(calloc(most / 2, 4)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hide(realloc(p, most - 100)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hide(reallocarray(p, most / 4, 5)));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hide(aligned_alloc(4096, most - 4096)));
	assert_int_equal(errno, ENOMEM);
	assert_painted(p, 10, 3);
	free(p);
}

static void test_resized(void **state)
{
	(void)state;
	for (size_t i = 1; i < NR_SIZES; i++) {
		for (size_t j = 1; j < NR_SIZES; j++) {
			size_t less = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
			void *p = malloc(sizes[i]), *q;

			less = less < 70000 ? less : 70000;
			paint(p, less, 77);
			q = hide(realloc(p, sizes[j]));
			assert_non_null(q);
			assert_painted(q, less, 77);
			assert_true(malloc_usable_size(q) >= sizes[j]);
			free(q);
		}
	}
	assert_null(realloc(hide(malloc(5)), 0));
	free(hide(realloc(NULL, 100)));
}

/* One that grows bit by bit keeps what it has, whatever it becomes. */
static void test_realloc_grows(void **state)
{
	unsigned char *p = NULL;
	size_t size = 0;

	(void)state;
	while (size < 12 << 20) {
		size_t more = size + size / 5 + 1000;

		p = hide(realloc(p, more));
		assert_non_null(p);
		for (; size < more; size++)
			p[size] = (unsigned char)(size / 1000);
	}
	for (size_t i = 0; i < size; i += 500)
		assert_int_equal(p[i], (unsigned char)(i / 1000));
	free(p);
}

/* With free pages behind it an object need not move, and has them for itself. */
static void test_realloc_in_place(void **state)
{
	enum { NR = 64, SIZE = 50000 };
	unsigned char *p[NR], *q;
	int in_place = 0;

	(void)state;
	for (int i = 0; i < NR; i++)
		p[i] = malloc(SIZE);
	for (int i = 1; i < NR; i += 2)
		free(p[i]);
	for (int i = 0; i < NR; i += 2) {
		paint(p[i], SIZE, (uint32_t)i);
		q = hide(realloc(p[i], SIZE + 30000));
		in_place += q == p[i];
		p[i] = q;
		assert_painted(q, SIZE, (uint32_t)i);
		paint(q, SIZE + 30000, (uint32_t)i);
	}
	for (int i = 1; i < NR; i += 2) {
		p[i] = calloc(1, SIZE);
		assert_true(is_zero(p[i], SIZE));
		paint(p[i], SIZE, (uint32_t)i);
	}
	for (int i = 0; i < NR; i += 2)
		assert_painted(p[i], SIZE + 30000, (uint32_t)i);
	/* The module has no call for it. */
	if (!getenv("HUGESPAN_BACKEND"))
		assert_true(in_place > NR / 4);
	for (int i = 0; i < NR; i++)
		free(p[i]);
}

static void test_aligned(void **state)
{
	(void)state;
	for (size_t align = 8; align <= 4 << 20; align *= 2) {
		for (size_t i = 0; i < NR_SIZES - 1; i++) {
			void *p = NULL, *q = hide(aligned_alloc(align, sizes[i]));

			assert_int_equal(posix_memalign(&p, align, sizes[i]), 0);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % align, 0);
			assert_int_equal((uintptr_t)q % align, 0);
			paint(p, sizes[i], 1);
			paint(q, sizes[i], 2);
			assert_painted(p, sizes[i], 1);
			p = hide(realloc(p, sizes[i] + 100));
			assert_painted(p, sizes[i], 1);
			free(p);
			free(q);
		}
	}
}

static void test_aligned_errors(void **state)
{
	volatile size_t odd = 24;
	void *p = (void *)1;

	(void)state;
	errno = 7;
	assert_int_equal(posix_memalign(&p, odd, 10), EINVAL);
	assert_int_equal(posix_memalign(&p, 4, 10), EINVAL);
	assert_int_equal(posix_memalign(&p, 64, (size_t)odd << 58), ENOMEM);
	assert_ptr_equal(p, (void *)1);
	assert_int_equal(errno, 7);
	assert_null(hide(aligned_alloc(odd, 10)));
	assert_int_equal(errno, EINVAL);
	p = valloc(10);
	assert_int_equal((uintptr_t)p % (size_t)sysconf(_SC_PAGESIZE), 0);
	free(p);
	p = pvalloc(10);
	assert_int_equal((uintptr_t)p % (size_t)sysconf(_SC_PAGESIZE), 0);
	assert_true(malloc_usable_size(p) >= (size_t)sysconf(_SC_PAGESIZE));
	free(p);
	p = memalign(256, 10);
	assert_int_equal((uintptr_t)p % 256, 0);
	free(p);
}

static void test_free_keeps_errno(void **state)
{
	(void)state;
	errno = 42;
	free(NULL);
	for (size_t i = 0; i < NR_SIZES; i++) {
		void *p = malloc(sizes[i]);

		errno = 42;
		free(hide(p));
		assert_int_equal(errno, 42);
	}
	assert_int_equal(malloc_usable_size(NULL), 0);
}

static void test_info(void **state)
{
	struct mallinfo2 before = mallinfo2(), after;
	void *p = malloc(3 << 20), *q = malloc(100 << 20);

	(void)state;
	after = mallinfo2();
	assert_true(after.uordblks >= before.uordblks + (3 << 20));
	assert_true(after.hblkhd >= before.hblkhd + (100 << 20));
	assert_true(after.arena >= after.uordblks);
	free(p);
	free(q);
	after = mallinfo2();
	assert_int_equal(after.hblkhd, before.hblkhd);
	assert_int_equal(mallopt(M_MMAP_THRESHOLD, 1), 0);
}

/* Memory in use is not touched, memory not in use goes. */
static void test_trim(void **state)
{
	enum { NR = 4000 };
	void **p = malloc(NR * sizeof(*p));

	(void)state;
	for (int i = 0; i < NR; i++) {
		p[i] = malloc(9000);
		paint(p[i], 9000, (uint32_t)i);
	}
	for (int i = 0; i < NR; i++)
		if (i % 7)
			free(p[i]);
	/* The module gives back whole blocks only. */
	if (!getenv("HUGESPAN_BACKEND"))
		assert_int_equal(malloc_trim(0), 1);
	for (int i = 0; i < NR; i++)
		if (i % 7)
			assert_true(is_zero(p[i] = calloc(1, 9000), 9000));
		else
			assert_painted(p[i], 9000, (uint32_t)i);
	for (int i = 0; i < NR; i++)
		free(p[i]);
	free(p);
	malloc_trim(0);
	assert_true(mallinfo2().arena <= 32 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_size_bounds_waste),
		cmocka_unit_test(test_zeroed),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_resized),
		cmocka_unit_test(test_realloc_grows),
		cmocka_unit_test(test_realloc_in_place),
		cmocka_unit_test(test_aligned),
		cmocka_unit_test(test_aligned_errors),
		cmocka_unit_test(test_free_keeps_errno),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_trim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The shim's bitmaps against a byte a bit, its lock and its memory.
 */
#include "host.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "hspan_shim.h"

#define BITS	200
#define ROUNDS	20000

static unsigned char bytes[BITS];
static DECLARE_BITMAP(map, BITS);

static unsigned int slow_find(unsigned int size, unsigned int from, int value)
{
	while (from < size && bytes[from] != value)
		from++;
	return from < size ? from : size;
}

static unsigned int slow_last(unsigned int size)
{
	unsigned int i = size;

	while (i--)
		if (bytes[i])
			return i;
	return size;
}

static unsigned int slow_area(unsigned int size, unsigned int from,
			      unsigned int nr)
{
	for (; from + nr <= size; from++)
		if (slow_find(from + nr, from, 1) == from + nr)
			return from;
	return size + 1;
}

static void compare(uint64_t *seed)
{
	unsigned int size = 1 + host_below(seed, BITS);
	unsigned int from = host_below(seed, BITS);
	unsigned int nr = 1 + host_below(seed, 30);

	assert_int_equal(find_next_bit(map, size, from),
			 slow_find(size, from, 1));
	assert_int_equal(find_next_zero_bit(map, size, from),
			 slow_find(size, from, 0));
	assert_int_equal(find_last_bit(map, size), slow_last(size));
	if (from < size)
		assert_int_equal(min(bitmap_find_next_zero_area(map, size,
							from, nr, 0),
				     size + 1UL),
				 slow_area(size, from, nr));
	assert_int_equal(test_bit(from, map), bytes[from]);
}

static void bitmaps_match_bytes(void **state)
{
	uint64_t seed = 7;
	unsigned int i, start, nr;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		start = host_below(&seed, BITS);
		nr = host_below(&seed, host_below(&seed, 2) ? 8 : BITS);
		nr = min(nr, BITS - start);
		if (host_below(&seed, 2)) {
			bitmap_set(map, start, nr);
			memset(bytes + start, 1, nr);
		} else {
			bitmap_clear(map, start, nr);
			memset(bytes + start, 0, nr);
		}
		compare(&seed);
	}
}

static spinlock_t lock;
static unsigned long counter;

static void *count(void *arg)
{
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		spin_lock(&lock);
		counter++;
		spin_unlock(&lock);
	}
	return arg;
}

static void lock_excludes(void **state)
{
	pthread_t threads[8];
	unsigned int i;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count,
						NULL), 0);
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(counter, 8UL * ROUNDS);
}

static void memory_is_zero_and_apart(void **state)
{
	static const size_t sizes[] = { 1, 64, 8192, 60000, 65536, 300000 };
	unsigned char *ptr[6];
	unsigned int round, i;
	size_t j;

	(void)state;
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 6; i++) {
			ptr[i] = kvzalloc(sizes[i], GFP_KERNEL_ACCOUNT);
			assert_non_null(ptr[i]);
			assert_int_equal((uintptr_t)ptr[i] % 64, 0);
			for (j = 0; j < sizes[i]; j++)
				if (ptr[i][j])
					fail_msg("%zu: not zero", sizes[i]);
			memset(ptr[i], (int)i + 1, sizes[i]);
		}
		for (i = 0; i < 6; i++) {
			assert_int_equal(ptr[i][0], i + 1);
			assert_int_equal(ptr[i][sizes[i] - 1], i + 1);
			kvfree(ptr[i]);
		}
	}
	kvfree(NULL);
}

static void cpus_are_counted(void **state)
{
	(void)state;
	assert_true(hspan_shim_nr_cpus() >= 1);
	assert_true(hspan_shim_cpu() < hspan_shim_nr_cpus());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bitmaps_match_bytes),
		cmocka_unit_test(lock_excludes),
		cmocka_unit_test(memory_is_zero_and_apart),
		cmocka_unit_test(cpus_are_counted),
	};

	return cmocka_run_group_tests_name("shim", tests, NULL, NULL);
}

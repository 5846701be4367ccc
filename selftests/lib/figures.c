// SPDX-License-Identifier: MIT
/* Figures by size class. */
#include "common.h"

#define CLASSES_MOST 256
#define OBJECTS 2000
#define SLACK 512 /* slots of one run, and what a stale word keeps */

static void *root[OBJECTS];

/* The class whose objects have @size bytes. */
static struct hspan_class_stats class_of(uint64_t size)
{
	struct hspan_class_stats classes[CLASSES_MOST];
	int n = hspan_stats_classes(classes, CLASSES_MOST);

	must(n > 0 && n <= CLASSES_MOST);
	for (int i = 0; i < n; i++)
		if (classes[i].size == size)
			return classes[i];
	abort();
}

static int figures_setup(void **state)
{
	int ret = heap_setup(state);

	return ret ? ret : hspan_root_add(root, sizeof(root));
}

static int figures_teardown(void **state)
{
	return hspan_root_remove(root) ? -1 : heap_teardown(state);
}

static void fill(void *size)
{
	for (int i = 0; i < OBJECTS; i++)
		hspan_store(&root[i], hspan_alloc_noscan((uintptr_t)size));
}

static void objects_come_and_go(void **state)
{
	struct hspan_class_stats before = class_of(96), now;

	(void)state;
	elsewhere(fill, (void *)96);
	now = class_of(96);
	assert_in_range(now.allocs - before.allocs, OBJECTS, OBJECTS + SLACK);
	assert_in_range(now.objects, OBJECTS, OBJECTS + SLACK);
	assert_int_equal(now.object_bytes, 96 * now.objects);
	assert_true(now.span_bytes >= now.object_bytes && now.span_bytes / now.spans == 8192);
	hspan_clear(root, sizeof(root));
	hspan_gc();
	now = class_of(96);
	assert_true(now.objects <= SLACK);
	assert_int_equal(now.frees, now.allocs - now.objects);
}

static void large_objects(void **state)
{
	struct hspan_class_stats before = class_of(0), now;

	(void)state;
	hspan_store(&root[0], hspan_alloc(100000));
	hspan_store(&root[1], hspan_alloc_noscan(5000000));
	now = class_of(0);
	assert_int_equal(now.allocs - before.allocs, 2);
	assert_int_equal(now.objects - before.objects, 2);
	assert_int_equal(now.object_bytes - before.object_bytes, 5100000);
	assert_int_equal(now.span_bytes - before.span_bytes, (13 + 611) * 8192);
	hspan_clear(root, sizeof(root));
}

/* Nothing is counted twice, and nothing but free spans is left out. */
static void sums(void **state)
{
	struct hspan_class_stats classes[CLASSES_MOST];
	uint64_t bytes = 0;
	int n;

	(void)state;
	for (int i = 0; i < OBJECTS; i++)
		hspan_store(&root[i], hspan_alloc((size_t)i * 30));
	n = hspan_stats_classes(classes, CLASSES_MOST);
	for (int i = 0; i < n; i++) {
		assert_true(classes[i].object_bytes <= classes[i].span_bytes);
		assert_true(!i || classes[i].size > classes[i - 1].size);
		bytes += classes[i].span_bytes;
	}
	assert_true(bytes <= read_stats().heap_inuse);
	assert_true(bytes >= OBJECTS * (OBJECTS - 1) / 2 * 30);
	assert_true(read_stats().heap_inuse + read_stats().heap_idle <= read_stats().heap_sys);
	hspan_clear(root, sizeof(root));
}

static void short_tables(void **state)
{
	struct hspan_class_stats two[3] = { [2] = { .size = 12345 } };

	(void)state;
	assert_int_equal(hspan_stats_classes(NULL, 1), -EINVAL);
	assert_true(hspan_stats_classes(NULL, 0) > 2);
	assert_int_equal(hspan_stats_classes(two, 2), hspan_stats_classes(NULL, 0));
	assert_int_equal(two[0].size, 0);
	assert_int_equal(two[1].size, 8);
	assert_int_equal(two[2].size, 12345);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_come_and_go),
		cmocka_unit_test(large_objects),
		cmocka_unit_test(sums),
		cmocka_unit_test(short_tables),
	};

	return cmocka_run_group_tests(tests, figures_setup, figures_teardown);
}

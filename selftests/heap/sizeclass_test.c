// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * What the size classes waste, against bounds and against Go's table, and
 * that the arithmetic on them is exact.
 */
#include "host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../kmod/heap/sizeclass.h"

#define PAGE	8192u

/* Go 1.27: bytes of an object, pages of 8 KiB of a span. */
static const struct {
	unsigned int size, pages;
} go_classes[] = {
	{ 8, 1 }, { 16, 1 }, { 24, 1 }, { 32, 1 }, { 48, 1 }, { 64, 1 },
	{ 80, 1 }, { 96, 1 }, { 112, 1 }, { 128, 1 }, { 144, 1 }, { 160, 1 },
	{ 176, 1 }, { 192, 1 }, { 208, 1 }, { 224, 1 }, { 240, 1 },
	{ 256, 1 }, { 288, 1 }, { 320, 1 }, { 352, 1 }, { 384, 1 },
	{ 416, 1 }, { 448, 1 }, { 480, 1 }, { 512, 1 }, { 576, 1 },
	{ 640, 1 }, { 704, 1 }, { 768, 1 }, { 896, 1 }, { 1024, 1 },
	{ 1152, 1 }, { 1280, 1 }, { 1408, 2 }, { 1536, 1 }, { 1792, 2 },
	{ 2048, 1 }, { 2304, 2 }, { 2688, 1 }, { 3072, 3 }, { 3200, 2 },
	{ 3456, 3 }, { 4096, 1 }, { 4864, 3 }, { 5376, 2 }, { 6144, 3 },
	{ 6528, 4 }, { 6784, 5 }, { 6912, 6 }, { 8192, 1 }, { 9472, 7 },
	{ 9728, 6 }, { 10240, 5 }, { 10880, 4 }, { 12288, 3 }, { 13568, 5 },
	{ 14336, 7 }, { 16384, 2 }, { 18432, 9 }, { 19072, 7 }, { 20480, 5 },
	{ 21760, 8 }, { 24576, 3 }, { 27264, 10 }, { 28672, 7 }, { 32768, 4 },
};

/* Share of a span, in millionths, not used if it is full of @request. */
static unsigned int waste(unsigned int request, unsigned int size,
			  unsigned int pages)
{
	unsigned int span = pages * PAGE, used = span / size * request;

	return (unsigned int)((span - used) * 1000000ULL / span);
}

static unsigned int go_class(unsigned int request)
{
	unsigned int i = 0;

	while (go_classes[i].size < request)
		i++;
	return i;
}

static void no_request_wastes_more_than_in_go(void **state)
{
	unsigned int request, ours, theirs, worst = 0, at = 0;

	(void)state;
	for (request = 1; request <= HSPAN_SMALL_MAX; request++) {
		unsigned int c = hspan_size_class(request);
		unsigned int g = go_class(request);

		ours = waste(request, hspan_class_size[c],
			     hspan_class_pages[c]);
		theirs = waste(request, go_classes[g].size,
			       go_classes[g].pages);
		assert_true(ours <= theirs);
		if (request > 64 && ours > worst) {
			worst = ours;
			at = request;
		}
	}
	print_message("# worst waste over 64 bytes: %u.%02u %% at %u bytes\n",
		      worst / 10000, worst / 100 % 100, at);
}

static void tails_are_small(void **state)
{
	unsigned int c, g, span, tail, go_span, go_tail;

	(void)state;
	for (c = 1; c < HSPAN_NR_SIZE_CLASSES; c++) {
		span = hspan_class_pages[c] * PAGE;
		tail = span % hspan_class_size[c];
		g = go_class(hspan_class_size[c]);
		go_span = go_classes[g].pages * PAGE;
		go_tail = go_span % go_classes[g].size;
		assert_true(tail * 8 <= span);
		assert_true((unsigned long)tail * go_span <=
			    (unsigned long)go_tail * span);
	}
}

static void table_is_sound(void **state)
{
	unsigned int c, size, pages, nelems;

	(void)state;
	assert_int_equal(hspan_class_size[0], 0);
	assert_int_equal(hspan_class_nelems[0], 1);
	assert_int_equal(hspan_class_size[HSPAN_NR_SIZE_CLASSES - 1],
			 HSPAN_SMALL_MAX);
	assert_true(HSPAN_NR_SPAN_CLASSES < 256);	/* page map's byte */
	for (c = 1; c < HSPAN_NR_SIZE_CLASSES; c++) {
		size = hspan_class_size[c];
		pages = hspan_class_pages[c];
		nelems = hspan_class_nelems[c];
		assert_true(size > hspan_class_size[c - 1]);
		assert_int_equal(size % 8, 0);
		assert_true(size == 8 || size == 24 || size % 16 == 0);
		assert_int_equal(nelems, pages * PAGE / size);
		assert_true(nelems <= 1024);
		/* mark and allocation bits share 128 bytes a page */
		if (size >= 16)
			assert_true(2 * ((nelems + 63) / 64 * 64) <=
				    pages * 1024);
	}
}

static void sizes_find_the_smallest_class(void **state)
{
	unsigned int size, c;

	(void)state;
	for (size = 0; size <= HSPAN_SMALL_MAX; size++) {
		c = hspan_size_class(size);
		assert_true(c > 0 && hspan_class_size[c] >= size);
		assert_true(c == 1 || hspan_class_size[c - 1] < size);
	}
}

static void slots_are_exact(void **state)
{
	unsigned int c, off;

	(void)state;
	for (c = 1; c < HSPAN_NR_SIZE_CLASSES; c++)
		for (off = 0; off < hspan_class_pages[c] * PAGE; off++)
			if (hspan_slot_of(c, off) != off / hspan_class_size[c])
				fail_msg("class %u, offset %u", c, off);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_sound),
		cmocka_unit_test(no_request_wastes_more_than_in_go),
		cmocka_unit_test(tails_are_small),
		cmocka_unit_test(sizes_find_the_smallest_class),
		cmocka_unit_test(slots_are_exact),
	};

	return cmocka_run_group_tests_name("sizeclass", tests, NULL, NULL);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of spans: got, put, swept, through cycles, and taken from clients
 * that close.
 */
#include <string.h>

#include "abi.h"

#define NR_SPANS	64

static __u32 *map_page_map(int fd)
{
	return abi_map(fd, HSPAN_OFF_PAGE_MAP,
		       ABI_BLOCKS * HSPAN_BLOCK_PAGES * sizeof(__u32),
		       PROT_READ);
}

static void device_info(void **state)
{
	struct hspan_device_info on_dev, on_arena;
	int dev = abi_device();

	assert_int_equal(ioctl(dev, HSPAN_IOC_DEVICE_INFO, &on_dev), 0);
	assert_int_equal(ioctl(abi_fd(state), HSPAN_IOC_DEVICE_INFO, &on_arena),
			 0);
	assert_memory_equal(&on_dev, &on_arena, sizeof(on_dev));
	assert_int_equal(on_dev.abi_version, HSPAN_ABI_VERSION);
	assert_true(on_dev.nr_span_classes > 100);
	close(dev);
}

static void arena_info(void **state)
{
	int fd = abi_fd(state), second = abi_open(fd);
	struct hspan_arena_info one, two;

	assert_int_equal(ioctl(fd, HSPAN_IOC_ARENA_INFO, &one), 0);
	assert_int_equal(ioctl(second, HSPAN_IOC_ARENA_INFO, &two), 0);
	assert_int_equal(one.size, ABI_BLOCKS * HSPAN_BLOCK_SIZE);
	assert_int_equal(one.limit, abi_sysfs("default_limit"));
	assert_int_equal(one.base, 0);
	assert_int_equal(one.client, 1);
	assert_int_equal(two.client, 2);
	assert_int_equal(one.id, two.id);
	assert_int_equal(abi_stats(fd).clients, 2);
	close(second);
	assert_int_equal(abi_stats(fd).clients, 1);
}

static void fresh_spans(void **state)
{
	int fd = abi_fd(state);
	struct hspan_span spans[NR_SPANS];
	__u32 *map = map_page_map(fd);
	struct hspan_arena_stats st;
	unsigned int i, j;

	abi_get_all(fd, CLASS_32, 0, spans, NR_SPANS);
	for (i = 0; i < NR_SPANS; i++) {
		assert_int_equal(spans[i].flags, HSPAN_SPAN_FRESH);
		assert_int_equal(spans[i].npages, 1);
		assert_int_equal(spans[i].nfree, 256);
		assert_int_equal(spans[i].span_class, CLASS_32);
		assert_int_equal(spans[i].sweepgen, 1);
		assert_int_equal(spans[i].reserved, 0);
		assert_int_equal(map[spans[i].page],
				 HSPAN_PM_ENTRY(spans[i].page, CLASS_32));
		for (j = 0; j < i; j++)
			assert_int_not_equal(spans[i].page, spans[j].page);
	}
	st = abi_stats(fd);
	assert_int_equal(st.spans_held, NR_SPANS);
	assert_int_equal(st.pages_used, NR_SPANS);
	assert_int_equal(st.gets, NR_SPANS);
	assert_int_equal(abi_put_all(fd, spans, NR_SPANS), 0);
	st = abi_stats(fd);
	assert_int_equal(st.spans_held, 0);
	assert_int_equal(st.pages_used, 0);
	assert_int_equal(st.puts, NR_SPANS);
	for (i = 0; i < NR_SPANS; i++)
		assert_int_equal(map[spans[i].page], HSPAN_PM_NONE);
}

static void large_span(void **state)
{
	int fd = abi_fd(state);
	unsigned int npages = 2 * HSPAN_BLOCK_PAGES + 3, i;
	__u32 *map = map_page_map(fd);
	struct hspan_span span;

	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, npages, &span, 1),
			 1);
	assert_int_equal(span.npages, npages);
	assert_int_equal(span.nfree, 1);
	for (i = 0; i < npages; i++)
		assert_int_equal(map[span.page + i],
				 HSPAN_PM_ENTRY(span.page,
						HSPAN_CLASS_LARGE_SCAN));
	assert_int_equal(abi_stats(fd).blocks_held, 3);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_stats(fd).blocks_free, 3);
	assert_int_equal(abi_release(fd), 3);
	assert_int_equal(abi_stats(fd).blocks_held, 0);
}

static void partly_used_comes_back(void **state)
{
	int fd = abi_fd(state);
	struct hspan_span span, again;

	assert_int_equal(abi_get(fd, CLASS_32, 0, &span, 1), 1);
	assert_int_equal(abi_put(fd, &span, 100), 0);
	assert_int_equal(abi_get(fd, CLASS_32, 0, &again, 1), 1);
	assert_int_equal(again.page, span.page);
	assert_int_equal(again.nfree, 100);
	assert_int_equal(again.flags, 0);
}

static void cycles(void **state)
{
	int fd = abi_fd(state);
	struct hspan_span spans[NR_SPANS], swept[NR_SPANS];
	struct hspan_control *control = abi_map(fd, HSPAN_OFF_CONTROL, 4096,
						PROT_READ);
	unsigned int i, nr, round;
	int got;

	abi_get_all(fd, CLASS_32, 0, spans, NR_SPANS);
	for (i = 0; i < NR_SPANS; i++)
		assert_int_equal(abi_put(fd, &spans[i], 0), 0);
	for (round = 2; round < 6; round++) {
		assert_int_equal(control->sweepgen, round - 1);
		assert_int_equal(abi_cycle(fd), round);
		assert_int_equal(control->sweepgen, round);
		assert_int_equal(control->nr_unswept, NR_SPANS);
		assert_errno(abi_cycle(fd), EBUSY);
		for (nr = 0; (got = abi_sweep(fd, swept + nr, 7)) > 0; nr += got)
			continue;
		assert_int_equal(got, 0);
		assert_int_equal(nr, NR_SPANS);
		assert_int_equal(control->nr_unswept, 0);
		for (i = 0; i < NR_SPANS; i++) {
			assert_true(swept[i].flags & HSPAN_SPAN_UNSWEPT);
			assert_int_equal(swept[i].sweepgen, round - 1);
			assert_int_equal(abi_put(fd, &swept[i], 0), 0);
		}
	}
}

/* A span held across a cycle is put with its old sweepgen, and is unswept. */
static void held_across_cycle(void **state)
{
	int fd = abi_fd(state);
	struct hspan_span span, again;

	assert_int_equal(abi_get(fd, CLASS_32, 0, &span, 1), 1);
	assert_int_equal(abi_cycle(fd), 2);
	assert_int_equal(abi_put_all(fd, &span, 1), 0);
	assert_int_equal(abi_stats(fd).nr_unswept, 1);
	assert_int_equal(abi_sweep(fd, &again, 1), 1);
	assert_int_equal(again.page, span.page);
	assert_int_equal(again.sweepgen, 1);
}

static void closed_client_loses_nothing(void **state)
{
	int fd = abi_fd(state), other = abi_open(fd);
	struct hspan_span spans[NR_SPANS];
	struct hspan_arena_stats st;
	int got, nr;

	abi_get_all(other, CLASS_32, 0, spans, NR_SPANS);
	close(other);
	st = abi_stats(fd);
	assert_int_equal(st.spans_held, 0);
	assert_int_equal(st.pages_used, NR_SPANS);
	/* Full and swept: not handed out before the next mark has decided. */
	assert_int_equal(abi_get(fd, CLASS_32, 0, spans, 1), 1);
	assert_true(spans[0].flags & HSPAN_SPAN_FRESH);
	assert_int_equal(abi_cycle(fd), 2);
	for (nr = 0; (got = abi_sweep(fd, spans, NR_SPANS)) > 0; nr += got)
		continue;
	assert_int_equal(nr, NR_SPANS);
}

/* A mapping keeps the file, so the client lives until it is gone too. */
static void mapping_keeps_client(void **state)
{
	int fd = abi_fd(state), other = abi_open(fd);
	void *p = abi_map_data(other, 1);
	struct hspan_span span;

	assert_int_equal(abi_get(other, CLASS_32, 0, &span, 1), 1);
	close(other);
	assert_int_equal(abi_stats(fd).clients, 2);
	assert_int_equal(abi_stats(fd).spans_held, 1);
	munmap(p, HSPAN_BLOCK_SIZE);
	assert_int_equal(abi_stats(fd).clients, 1);
	assert_int_equal(abi_stats(fd).spans_held, 0);
}

static void limit_can_change(void **state)
{
	int fd = abi_fd(state);
	struct hspan_limit limit = { .limit = 1 };
	struct hspan_span a, b;

	assert_int_equal(ioctl(fd, HSPAN_IOC_LIMIT, &limit), 0);
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES,
				 &a, 1), 1);
	assert_errno(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES, &b,
			     1), EDQUOT);
	limit.limit = 2;
	assert_int_equal(ioctl(fd, HSPAN_IOC_LIMIT, &limit), 0);
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES,
				 &b, 1), 1);
	limit.limit = 1;
	assert_int_equal(ioctl(fd, HSPAN_IOC_LIMIT, &limit), 0);
	assert_int_equal(abi_stats(fd).blocks_held, 2);
}

static void every_class(void **state)
{
	int fd = abi_fd(state);
	struct hspan_device_info info;
	struct hspan_span span;
	unsigned int class;

	assert_int_equal(ioctl(fd, HSPAN_IOC_DEVICE_INFO, &info), 0);
	for (class = 2; class < info.nr_span_classes; class++) {
		assert_int_equal(abi_get(fd, class, 0, &span, 1), 1);
		assert_int_equal(span.span_class, class);
		assert_true(span.nfree >= 1);
		assert_int_equal(abi_put(fd, &span, span.nfree), 0);
	}
	assert_errno(abi_get(fd, class, 0, &span, 1), EINVAL);
	assert_int_equal(abi_stats(fd).pages_used, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, abi_setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(device_info), TEST(arena_info), TEST(fresh_spans),
		TEST(large_span), TEST(partly_used_comes_back), TEST(cycles),
		TEST(held_across_cycle), TEST(closed_client_loses_nothing),
		TEST(mapping_keeps_client), TEST(limit_can_change),
		TEST(every_class),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

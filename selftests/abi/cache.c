// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU caches from outside: how deep they are by their attributes, that they
 * follow the load, and that they are emptied when their CPU goes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "abi.h"

#define NR	12

static int write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY), good;

	if (fd < 0)
		return -1;
	good = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
	close(fd);
	return good ? 0 : -1;
}

static int set(const char *name, unsigned int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path),
		 "/sys/devices/virtual/misc/hugespan/cache/%s", name);
	snprintf(text, sizeof(text), "%u", value);
	return write_file(path, text);
}

static int set_cpu(int cpu, const char *to)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
		 cpu);
	return write_file(path, to);
}

static void run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

static void put_some(int fd, const struct hspan_span *spans, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		assert_int_equal(abi_put(fd, &spans[i], 5), 0);
}

static void depth_is_kept(void **state)
{
	struct hspan_span spans[NR];
	int fd = abi_fd(state);

	run_on(0);
	assert_int_equal(set("max_depth", 3), 0);
	abi_get_all(fd, CLASS_32, 0, spans, NR);
	put_some(fd, spans, NR);
	assert_int_equal(abi_stats(fd).spans_cached, 3);
	assert_int_equal(set("max_depth", 0), 0);
	assert_int_equal(abi_stats(fd).spans_cached, 0);
	abi_get_all(fd, CLASS_32, 0, spans, NR);
	put_some(fd, spans, NR);
	assert_int_equal(abi_stats(fd).spans_cached, 0);
	assert_int_equal(set("max_depth", 15), 0);
	assert_int_equal(set("depth", 7), 0);
	abi_get_all(fd, CLASS_32, 0, spans, NR);
	put_some(fd, spans, NR);
	assert_int_equal(abi_stats(fd).spans_cached, 7);
}

static void new_arenas_are_told(void **state)
{
	struct hspan_span spans[NR];
	int fd;

	(void)state;
	run_on(0);
	assert_int_equal(set("depth", 2), 0);
	fd = abi_arena(ABI_BLOCKS, 0);
	abi_get_all(fd, CLASS_32, 0, spans, NR);
	put_some(fd, spans, NR);
	assert_int_equal(abi_stats(fd).spans_cached, 2);
	close(fd);
}

static void too_deep_is_refused(void **state)
{
	(void)state;
	assert_errno(set("depth", 16), EINVAL);
	assert_errno(set("max_depth", 16), EINVAL);
	assert_int_equal(abi_sysfs("cache/depth"), 4);
	assert_int_equal(abi_sysfs("cache/max_depth"), 15);
}

/* One that has no room for what is wanted soon after makes room. */
static void grows_by_need(void **state)
{
	struct hspan_arena_stats before, after;
	struct hspan_span spans[NR];
	int fd = abi_fd(state), i;

	run_on(0);
	abi_get_all(fd, CLASS_32, 0, spans, NR);
	for (i = 0; i < 2 * NR; i++) {
		put_some(fd, spans, NR);
		abi_get_all(fd, CLASS_32, 0, spans, NR);
	}
	before = abi_stats(fd);
	put_some(fd, spans, NR);
	assert_int_equal(abi_stats(fd).spans_cached, NR);
	abi_get_all(fd, CLASS_32, 0, spans, NR);
	after = abi_stats(fd);
	assert_int_equal(after.cache_hits - before.cache_hits, NR);
}

/* Its spans are listed, and another CPU gets them. */
static void dead_cpu_keeps_nothing(void **state)
{
	struct hspan_span spans[4], again[4];
	int fd = abi_fd(state);

	if (access("/sys/devices/system/cpu/cpu1/online", W_OK))
		return;		/* there is only one */
	run_on(1);
	abi_get_all(fd, CLASS_32, 0, spans, 4);
	put_some(fd, spans, 4);
	assert_int_equal(abi_stats(fd).spans_cached, 4);
	run_on(0);
	assert_int_equal(set_cpu(1, "0"), 0);
	assert_int_equal(abi_stats(fd).spans_cached, 0);
	abi_get_all(fd, CLASS_32, 0, again, 4);
	assert_int_equal(abi_stats(fd).central_hits, 4);
	assert_int_equal(set_cpu(1, "1"), 0);
	put_some(fd, again, 4);
	assert_int_equal(abi_stats(fd).spans, 4);
}

/* A span in another CPU's cache is better than a new block, or none. */
static void limit_finds_what_others_cache(void **state)
{
	static struct hspan_span spans[HSPAN_BLOCK_PAGES], span;
	int fd;

	(void)state;
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	fd = abi_arena(1, 0);
	run_on(1);
	abi_get_all(fd, CLASS_32, 0, spans, HSPAN_BLOCK_PAGES);
	put_some(fd, spans, 1);
	run_on(0);
	assert_int_equal(abi_stats(fd).spans_cached, 1);
	assert_int_equal(abi_get(fd, CLASS_32, 0, &span, 1), 1);
	assert_int_equal(span.page, spans[0].page);
	assert_errno(abi_get(fd, CLASS_32, 0, &span, 1), ENOSPC);
	close(fd);
}

static int setup(void **state)
{
	set("depth", 4);
	set("max_depth", 15);
	return abi_setup(state);
}

static int teardown(void **state)
{
	set_cpu(1, "1");
	set("depth", 4);
	set("max_depth", 15);
	return abi_teardown(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(depth_is_kept), TEST(new_arenas_are_told),
		TEST(too_deep_is_refused), TEST(grows_by_need),
		TEST(dead_cpu_keeps_nothing),
		TEST(limit_finds_what_others_cache),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

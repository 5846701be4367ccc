// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sysfs and debugfs tell of an arena, who may read and write it, and that
 * reading does no harm while arenas come and go.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/wait.h>

#include "abi.h"

#define ARENAS		"/sys/devices/virtual/misc/hugespan/arenas"
#define DEBUG_ARENAS	"/sys/kernel/debug/hugespan/arenas"
#define NOBODY		65534
#define CHURN		300

static unsigned long long arena_id(int fd)
{
	struct hspan_arena_info info;

	assert_int_equal(ioctl(fd, HSPAN_IOC_ARENA_INFO, &info), 0);
	return info.id;
}

/* Opens an attribute of an arena, or returns -1. */
static int attr_open(unsigned long long id, const char *name, int flags)
{
	char path[256];

	snprintf(path, sizeof(path), ARENAS "/%llu/%s", id, name);
	return open(path, flags);
}

static long long attr(int fd, const char *name)
{
	int file = attr_open(arena_id(fd), name, O_RDONLY);
	char text[64] = "";

	assert_true(file >= 0);
	assert_true(read(file, text, sizeof(text) - 1) > 1);
	close(file);
	return strtoll(text, NULL, 0);
}

/* Writes an attribute; 0 or a negative errno. */
static int attr_set(int fd, const char *name, const char *value)
{
	int file = attr_open(arena_id(fd), name, O_WRONLY), ret = 0;

	if (file < 0)
		return -errno;
	if (write(file, value, strlen(value)) < 0)
		ret = -errno;
	close(file);
	return ret;
}

#define assert_attr(fd, st, field) \
	assert_int_equal(attr(fd, #field), (st).field)

/* Some of everything: held, cached, full, partial, unswept, large. */
static void use_some(int fd)
{
	struct hspan_span spans[40];
	unsigned int i;
	char *p;

	abi_get_all(fd, CLASS_32, 0, spans, 40);
	for (i = 0; i < 30; i++)
		assert_int_equal(abi_put(fd, &spans[i], i / 10 * 100), 0);
	assert_true(abi_cycle(fd) > 0);
	abi_get_all(fd, CLASS_32, 0, spans, 5);
	for (i = 0; i < 5; i++)
		assert_int_equal(abi_put(fd, &spans[i], 100), 0);
	abi_get_all(fd, HSPAN_CLASS_LARGE_SCAN, 300, spans, 1);
	p = abi_map_data(fd, ABI_BLOCKS);
	p[spans[0].page * HSPAN_PAGE_SIZE] = 1;
	munmap(p, ABI_BLOCKS * HSPAN_BLOCK_SIZE);
}

static void values(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats st;

	use_some(fd);
	st = abi_stats(fd);
	assert_attr(fd, st, sweepgen);
	assert_attr(fd, st, nr_unswept);
	assert_attr(fd, st, blocks_held);
	assert_attr(fd, st, blocks_free);
	assert_attr(fd, st, blocks_grown);
	assert_attr(fd, st, blocks_released);
	assert_attr(fd, st, pages_used);
	assert_attr(fd, st, spans);
	assert_attr(fd, st, spans_held);
	assert_attr(fd, st, spans_cached);
	assert_attr(fd, st, gets);
	assert_attr(fd, st, puts);
	assert_attr(fd, st, cache_hits);
	assert_attr(fd, st, central_hits);
	assert_attr(fd, st, page_heap_hits);
	assert_attr(fd, st, faults);
	assert_attr(fd, st, clients);
	assert_true(st.spans_held > 0 && st.nr_unswept > 0 && st.faults > 0);
	assert_true(attr(fd, "pressed") >= 0);
}

static void geometry(void **state)
{
	struct hspan_arena_create create = {
		.size = 4 * HSPAN_BLOCK_SIZE, .base = 0x5a0000000000, .limit = 3,
	};
	int dev = abi_device(), fd;

	fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &create);
	assert_true(fd >= 0);
	assert_int_equal(attr(fd, "size"), create.size);
	assert_int_equal(attr(fd, "base"), create.base);
	assert_int_equal(attr(fd, "limit"), create.limit);
	close(fd);
	close(dev);
	(void)state;
}

static void limit(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_info info;
	struct hspan_span span;

	assert_int_equal(attr_set(fd, "limit", "2\n"), 0);
	assert_int_equal(ioctl(fd, HSPAN_IOC_ARENA_INFO, &info), 0);
	assert_int_equal(info.limit, 2);
	abi_get_all(fd, HSPAN_CLASS_LARGE_SCAN, 2 * HSPAN_BLOCK_PAGES, &span, 1);
	assert_errno(abi_get(fd, CLASS_32, 0, &span, 1), EDQUOT);
	assert_int_equal(attr_set(fd, "limit", "0x3"), 0);
	abi_get_all(fd, CLASS_32, 0, &span, 1);

	assert_int_equal(attr_set(fd, "limit", "0"), -EINVAL);
	assert_int_equal(attr_set(fd, "limit", "-1"), -EINVAL);
	assert_int_equal(attr_set(fd, "limit", "much"), -EINVAL);
	assert_int_equal(attr_set(fd, "limit", "99999999999999999999"), -ERANGE);
	assert_int_equal(attr(fd, "limit"), 3);
}

/* Opens as somebody else, whom the directory is no obstacle to. */
static int open_as_nobody(int dir, const char *name, int flags)
{
	int file, err;

	setfsuid(NOBODY);
	file = openat(dir, name, flags);
	err = errno;
	setfsuid(0);
	errno = err;
	return file;
}

static int arena_dir(const char *top, int fd)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%llu", top, arena_id(fd));
	return open(path, O_RDONLY | O_DIRECTORY);
}

/* Others may read, but not where the heap is; and write nothing. */
static void permissions(void **state)
{
	int dir = arena_dir(ARENAS, abi_fd(state)), file;

	assert_true(dir >= 0);
	file = open_as_nobody(dir, "spans", O_RDONLY);
	assert_true(file >= 0);
	close(file);
	assert_errno(open_as_nobody(dir, "base", O_RDONLY), EACCES);
	assert_errno(open_as_nobody(dir, "limit", O_WRONLY), EACCES);
	assert_errno(open_as_nobody(dir, "size", O_WRONLY), EACCES);
	close(dir);
	dir = arena_dir(DEBUG_ARENAS, abi_fd(state));
	if (dir < 0)
		return;
	assert_errno(open_as_nobody(dir, "spans", O_RDONLY), EACCES);
	close(dir);
}

/* A file that is open when its arena ends keeps neither, and can tell nothing. */
static void open_at_the_end(void **state)
{
	static const char * const names[] = { "limit", "spans", "base" };
	int fd = abi_arena(ABI_BLOCKS, 0), files[3], i;
	unsigned long long id = arena_id(fd);
	char text[64];

	for (i = 0; i < 3; i++) {
		files[i] = attr_open(id, names[i], i ? O_RDONLY : O_RDWR);
		assert_true(files[i] >= 0);
	}
	assert_int_equal(read(files[1], text, 1), 1);
	close(fd);
	assert_errno(attr_open(id, "limit", O_RDONLY), ENOENT);
	assert_errno(pwrite(files[0], "5", 1, 0), ENODEV);
	for (i = 0; i < 3; i++) {
		assert_errno(pread(files[i], text, sizeof(text), 0), ENODEV);
		close(files[i]);
	}
	(void)state;
}

static FILE *spans_open(unsigned long long id)
{
	char path[256];

	snprintf(path, sizeof(path), DEBUG_ARENAS "/%llu/spans", id);
	return fopen(path, "r");
}

/* Reads on with small buffers; counts the spans in each state. */
static void count_spans(FILE *f, unsigned int *held, unsigned int *others,
			unsigned long *pages)
{
	unsigned int page, npages, holder, nfree, sweepgen;
	char line[256], scan[16], in[16];
	unsigned long size, end = 0;

	setvbuf(f, NULL, _IOFBF, 64);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_string_equal(line,
			    "page npages size scan state holder nfree sweepgen\n");
	while (fgets(line, sizeof(line), f)) {
		assert_int_equal(sscanf(line, "%u %u %lu %15s %15s %u %u %u",
					&page, &npages, &size, scan, in, &holder,
					&nfree, &sweepgen), 8);
		assert_true(page >= end);
		end = page + npages;
		*pages += npages;
		if (!strcmp(in, "held")) {
			++*held;
			assert_true(holder > 0);
		} else {
			++*others;
		}
	}
}

static void span_dump(void **state)
{
	unsigned int held = 0, others = 0;
	unsigned long pages = 0;
	int fd = abi_fd(state);
	struct hspan_arena_stats st;
	FILE *f = spans_open(arena_id(fd));

	if (!f)
		skip();		/* a kernel without debugfs */
	use_some(fd);
	count_spans(f, &held, &others, &pages);
	fclose(f);
	st = abi_stats(fd);
	assert_int_equal(held, st.spans_held);
	assert_int_equal(held + others, st.spans);
	assert_int_equal(pages, st.pages_used);
}

static void dump_at_the_end(void **state)
{
	int fd = abi_arena(ABI_BLOCKS, 0);
	FILE *f = spans_open(arena_id(fd));

	if (!f) {
		close(fd);
		skip();
	}
	close(fd);
	assert_int_equal(fgetc(f), EOF);
	fclose(f);
	(void)state;
}

static void read_file(const char *dir, const char *arena, const char *name)
{
	char path[1024], text[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, arena, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return;
	while (read(fd, text, sizeof(text)) > 0)
		continue;
	close(fd);
}

/* Reads every file of each arena there is. */
static void read_all(const char *dir)
{
	char path[512];
	struct dirent *arena, *file;
	DIR *top = opendir(dir), *d;

	while (top && (arena = readdir(top))) {
		if (arena->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, arena->d_name);
		d = opendir(path);
		while (d && (file = readdir(d)))
			if (file->d_name[0] != '.')
				read_file(dir, arena->d_name, file->d_name);
		if (d)
			closedir(d);
	}
	if (top)
		closedir(top);
}

static pid_t start_reader(const char *dir)
{
	pid_t pid = fork();

	while (!pid)
		read_all(dir);
	return pid;
}

static void coming_and_going(void **state)
{
	pid_t readers[2] = { start_reader(ARENAS), start_reader(DEBUG_ARENAS) };
	struct hspan_span spans[8];
	int fds[4] = { -1, -1, -1, -1 }, i, status;

	for (i = 0; i < CHURN; i++) {
		int *fd = &fds[i % 4];

		if (*fd >= 0)
			close(*fd);
		*fd = abi_arena(ABI_BLOCKS, 0);
		abi_get_all(*fd, CLASS_32, 0, spans, 8);
		abi_put_all(*fd, spans, 4);
	}
	for (i = 0; i < 4; i++)
		close(fds[i]);
	for (i = 0; i < 2; i++) {
		kill(readers[i], SIGKILL);
		assert_int_equal(waitpid(readers[i], &status, 0), readers[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	assert_int_equal(abi_sysfs("nr_arenas"), 0);
	(void)state;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, abi_setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values),
		cmocka_unit_test(geometry),
		TEST(limit),
		TEST(permissions),
		cmocka_unit_test(open_at_the_end),
		TEST(span_dump),
		cmocka_unit_test(dump_at_the_end),
		cmocka_unit_test(coming_and_going),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

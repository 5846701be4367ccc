// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation and every user copy an ioctl makes fails once, each in its
 * turn: the call says so, and nothing is lost.  Needs a kernel with fault
 * injection; skips otherwise.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"

#define DEBUG		"/sys/kernel/debug/"
#define NR_SPANS	64
#define NTH_MAX		400
#define PAGES_MAX	4096
#define FAIL_PAGES	DEBUG "fail_page_alloc/"

/**
 * struct ctx - what a call under test works on
 * @fd: an arena
 * @held: spans it has in hand
 * @nr_held: how many
 */
struct ctx {
	int fd;
	struct hspan_span held[NR_SPANS];
	unsigned int nr_held;
};

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t done;

	if (fd < 0)
		return -1;
	done = write(fd, text, strlen(text));
	close(fd);
	return done < 0 ? -1 : 0;
}

/* Every kind of allocation can fail; the log stays readable, if that is wanted. */
static int arm_kernel(void)
{
	static const char * const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	char path[128];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), DEBUG "%s/verbose", kinds[i]);
		if (write_file(path, getenv("HUGESPAN_VERBOSE_FAULTS") ? "2" :
								   "0"))
			return -1;
		snprintf(path, sizeof(path), DEBUG "%s/ignore-gfp-wait",
			 kinds[i]);
		write_file(path, "N");
		snprintf(path, sizeof(path), DEBUG "%s/ignore-gfp-highmem",
			 kinds[i]);
		write_file(path, "N");
		snprintf(path, sizeof(path), DEBUG "%s/min-order", kinds[i]);
		write_file(path, "0");
		snprintf(path, sizeof(path), DEBUG "%s/task-filter", kinds[i]);
		write_file(path, "Y");
		snprintf(path, sizeof(path), DEBUG "%s/times", kinds[i]);
		write_file(path, "-1");
	}
	return 0;
}

/* Let the @nth thing that can fail in our next system calls do so. */
static void set_nth(unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	assert_int_equal(write_file("/proc/thread-self/fail-nth", text), 0);
}

/* Whether it has; disarms.  What is left may hit our own read or write. */
static int has_failed(int fail_nth)
{
	char text[16] = {};
	ssize_t len = pread(fail_nth, text, sizeof(text) - 1, 0);

	while (pwrite(fail_nth, "0", 1, 0) != 1)
		continue;
	return len > 0 && text[0] == '0';
}

static void prepare_nothing(struct ctx *ctx)
{
	ctx->nr_held = 0;
}

static void prepare_held(struct ctx *ctx)
{
	abi_get_all(ctx->fd, CLASS_32, 0, ctx->held, NR_SPANS);
	ctx->nr_held = NR_SPANS;
}

static void prepare_unswept(struct ctx *ctx)
{
	unsigned int i;

	prepare_held(ctx);
	for (i = 0; i < NR_SPANS; i++)
		assert_int_equal(abi_put(ctx->fd, &ctx->held[i], 0), 0);
	ctx->nr_held = 0;
	assert_true(abi_cycle(ctx->fd) > 0);
}

/* A call that returns a file descriptor, on the device. */
static int run_on_device(unsigned int cmd, void *args)
{
	int dev = open("/dev/hugespan", O_RDWR), fd, err;

	if (dev < 0)
		return -1;
	fd = ioctl(dev, cmd, args);
	err = errno;
	close(dev);
	if (fd >= 0)
		close(fd);
	errno = err;
	return fd < 0 ? -1 : 0;
}

static int run_create(struct ctx *ctx)
{
	struct hspan_arena_create args = { .size = 64 * HSPAN_BLOCK_SIZE };

	(void)ctx;
	return run_on_device(HSPAN_IOC_ARENA_CREATE, &args);
}

static int run_create_named(struct ctx *ctx)
{
	struct hspan_arena_create args = { .size = 64 * HSPAN_BLOCK_SIZE,
					   .name = "another" };

	(void)ctx;
	return run_on_device(HSPAN_IOC_ARENA_CREATE, &args);
}

static int run_create_twice(struct ctx *ctx)
{
	struct hspan_arena_create args = { .size = 64 * HSPAN_BLOCK_SIZE,
					   .name = "named" };
	int ret = run_on_device(HSPAN_IOC_ARENA_CREATE, &args);

	(void)ctx;
	return ret && errno == EEXIST ? 0 : -1;
}

static int run_find(struct ctx *ctx)
{
	struct hspan_arena_find args = { .name = "named" };

	(void)ctx;
	return run_on_device(HSPAN_IOC_ARENA_FIND, &args);
}

static int run_open(struct ctx *ctx)
{
	int fd = abi_open(ctx->fd);

	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int run_get(struct ctx *ctx)
{
	int nr = abi_get(ctx->fd, CLASS_32, 0, ctx->held, NR_SPANS);

	ctx->nr_held = nr < 0 ? 0 : nr;
	return nr < 0 ? -1 : 0;
}

static int run_get_large(struct ctx *ctx)
{
	int nr = abi_get(ctx->fd, HSPAN_CLASS_LARGE_SCAN,
			 5 * HSPAN_BLOCK_PAGES, ctx->held, 2);

	ctx->nr_held = nr < 0 ? 0 : nr;
	return nr < 0 ? -1 : 0;
}

static int run_put(struct ctx *ctx)
{
	int ret = abi_put_all(ctx->fd, ctx->held, NR_SPANS);

	/* A fault after the puts were done is told as one. */
	if (!ret || abi_stats(ctx->fd).spans_held == 0)
		ctx->nr_held = 0;
	return ret;
}

static int run_sweep(struct ctx *ctx)
{
	int nr = abi_sweep(ctx->fd, ctx->held, NR_SPANS);

	ctx->nr_held = nr < 0 ? 0 : nr;
	return nr < 0 ? -1 : 0;
}

static int run_cycle(struct ctx *ctx)
{
	return abi_cycle(ctx->fd) < 0 ? -1 : 0;
}

static int run_release(struct ctx *ctx)
{
	struct hspan_release args = { .max = ~0ULL };

	return ioctl(ctx->fd, HSPAN_IOC_RELEASE, &args);
}

static int run_stats(struct ctx *ctx)
{
	struct hspan_arena_stats st;

	return ioctl(ctx->fd, HSPAN_IOC_STATS, &st);
}

/* Unmapping allocates too; the second time nothing is left to fail. */
static void unmap(volatile char *p, size_t size)
{
	while (munmap((void *)p, size))
		continue;
}

static int run_map(struct ctx *ctx)
{
	volatile char *p, *bits;

	p = mmap(NULL, HSPAN_BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 ctx->fd, HSPAN_OFF_DATA);
	if (p == MAP_FAILED)
		return -1;
	bits = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ctx->fd,
		    HSPAN_OFF_BITS);
	if (bits == MAP_FAILED) {
		unmap(p, HSPAN_BLOCK_SIZE);
		errno = ENOMEM;
		return -1;
	}
	p[ctx->held[0].page * HSPAN_PAGE_SIZE] = 1;
	bits[5000] = 1;
	unmap(p, HSPAN_BLOCK_SIZE);
	unmap(bits, 65536);
	return 0;
}

/* Bits of blocks that are not there, which are charged one by one. */
static int run_lone_bits(struct ctx *ctx)
{
	size_t size = ABI_BLOCKS * HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE *
		      HSPAN_BITS_PLANES;
	volatile char *bits;

	bits = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ctx->fd,
		    HSPAN_OFF_BITS);
	if (bits == MAP_FAILED)
		return -1;
	bits[0] = 1;
	bits[size - 1] = 1;
	unmap(bits, size);
	return 0;
}

/* @starve: also with no page to be had; not where a page fault would wait. */
static const struct fi_case {
	const char *name;
	bool starve;
	void (*prepare)(struct ctx *ctx);
	int (*run)(struct ctx *ctx);
} cases[] = {
	{ "create", true, prepare_nothing, run_create },
	{ "create named", true, prepare_nothing, run_create_named },
	{ "create twice", true, prepare_nothing, run_create_twice },
	{ "find", true, prepare_nothing, run_find },
	{ "open", true, prepare_nothing, run_open },
	{ "get", true, prepare_nothing, run_get },
	{ "get large", true, prepare_nothing, run_get_large },
	{ "put", true, prepare_held, run_put },
	{ "sweep", true, prepare_unswept, run_sweep },
	{ "cycle", true, prepare_held, run_cycle },
	{ "release", true, prepare_nothing, run_release },
	{ "stats", true, prepare_nothing, run_stats },
	{ "map and touch", false, prepare_held, run_map },
	{ "bits without a block", false, prepare_nothing, run_lone_bits },
};

/* The arena that the calls work on; it can be found. */
static int named_arena(void)
{
	struct hspan_arena_create args = {
		.size = ABI_BLOCKS * HSPAN_BLOCK_SIZE, .name = "named",
		.mode = 0600,
	};
	int dev = abi_device(), fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);

	close(dev);
	assert_true(fd >= 0);
	return fd;
}

/* One call with one failure in it; whether there was one to be had. */
static int try_nth(const struct fi_case *c, unsigned int nth)
{
	struct ctx ctx = { .fd = named_arena() };
	int ret, err, failed, fail_nth;

	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	assert_true(fail_nth >= 0);
	c->prepare(&ctx);
	set_nth(nth);
	ret = c->run(&ctx);
	err = errno;
	failed = has_failed(fail_nth);
	close(fail_nth);
	if (ret)
		assert_true(failed && (err == ENOMEM || err == EFAULT ||
				       err == ENFILE));
	assert_int_equal(abi_stats(ctx.fd).spans_held, ctx.nr_held);
	assert_int_equal(abi_stats(ctx.fd).clients, 1);
	close(ctx.fd);
	assert_int_equal(abi_sysfs("nr_arenas"), 0);
	assert_int_equal(abi_sysfs("blocks_in_use"), 0);
	assert_int_equal(abi_sysfs("charged"), 0);
	return failed;
}

/* Let us take @pages pages from the system and no more; -1 = as many as ever. */
static void set_pages(int pages)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pages);
	if (pages >= 0)
		assert_int_equal(write_file(FAIL_PAGES "space", text), 0);
	assert_int_equal(write_file(FAIL_PAGES "probability",
				    pages < 0 ? "0" : "100"), 0);
}

/* What falls back to single pages if it cannot have several fails only so. */
static int try_pages(const struct fi_case *c, int pages)
{
	struct ctx ctx = { .fd = named_arena() };
	int make_fail = open("/proc/self/make-it-fail", O_WRONLY), ret, err;

	assert_true(make_fail >= 0);
	c->prepare(&ctx);
	set_pages(pages);
	assert_int_equal(pwrite(make_fail, "1", 1, 0), 1);
	ret = c->run(&ctx);
	err = errno;
	assert_int_equal(pwrite(make_fail, "0", 1, 0), 1);
	close(make_fail);
	set_pages(-1);
	if (ret)
		assert_true(err == ENOMEM || err == EFAULT || err == ENFILE);
	assert_int_equal(abi_stats(ctx.fd).spans_held, ctx.nr_held);
	assert_int_equal(abi_stats(ctx.fd).clients, 1);
	close(ctx.fd);
	assert_int_equal(abi_sysfs("nr_arenas"), 0);
	assert_int_equal(abi_sysfs("blocks_in_use"), 0);
	return ret;
}

static void each_failure(void **state)
{
	const struct fi_case *c = *state;
	unsigned int nth;
	int pages = 0;

	for (nth = 1; nth < NTH_MAX; nth++)
		if (!try_nth(c, nth))
			break;
	while (c->starve && pages < PAGES_MAX && try_pages(c, pages))
		pages += pages < 32 ? 1 : pages / 4;
	print_message("# %s: %u failures injected, enough with %d pages\n",
		      c->name, nth - 1, pages);
	assert_in_range(nth, 2, NTH_MAX - 1);
	assert_in_range(pages, 0, PAGES_MAX - 1);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(cases)];
	unsigned int i;

	if (arm_kernel()) {
		printf("1..0 # SKIP kernel without fault injection\n");
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		tests[i] = (struct CMUnitTest){
			.name = cases[i].name,
			.test_func = each_failure,
			.initial_state = (void *)&cases[i],
		};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

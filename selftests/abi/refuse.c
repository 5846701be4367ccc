// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every ioctl refuses what it must, with the right errno and no effect.
 */
#include <fcntl.h>
#include <string.h>

#include "abi.h"

#define CMD_SIZED(cmd, size) _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), size)

static const unsigned int arena_cmds[] = {
	HSPAN_IOC_DEVICE_INFO, HSPAN_IOC_ARENA_INFO, HSPAN_IOC_ARENA_OPEN,
	HSPAN_IOC_SPAN_GET, HSPAN_IOC_SPAN_PUT, HSPAN_IOC_SWEEP_NEXT,
	HSPAN_IOC_CYCLE, HSPAN_IOC_RELEASE, HSPAN_IOC_LIMIT, HSPAN_IOC_STATS,
};

static const unsigned int device_cmds[] = {
	HSPAN_IOC_DEVICE_INFO, HSPAN_IOC_ARENA_CREATE, HSPAN_IOC_ARENA_FIND,
};

/* An argument of any command; large enough for longer ones. */
union arg {
	unsigned char bytes[1024];
	struct hspan_arena_create arena_create;
	struct hspan_arena_open arena_open;
	struct hspan_span_get span_get;
	struct hspan_span_put span_put;
	struct hspan_sweep_next sweep_next;
	struct hspan_cycle cycle;
	struct hspan_release release;
	struct hspan_limit limit;
};

/* Everything the arena counts is as it was. */
static void assert_unchanged(int fd, const struct hspan_arena_stats *before)
{
	struct hspan_arena_stats after = abi_stats(fd);

	assert_memory_equal(&after, before, sizeof(after));
}

/* What clients hold is as it was, though calls may have been counted. */
static void assert_same_spans(int fd, const struct hspan_arena_stats *before)
{
	struct hspan_arena_stats after = abi_stats(fd);

	assert_int_equal(after.spans_held, before->spans_held);
	assert_int_equal(after.pages_used, before->pages_used);
	assert_int_equal(after.sweepgen, before->sweepgen);
	assert_int_equal(after.clients, before->clients);
}

static void size_too_small(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	int dev = abi_device();
	union arg arg = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(arena_cmds); i++) {
		unsigned int size = _IOC_SIZE(arena_cmds[i]);

		assert_errno(ioctl(fd, CMD_SIZED(arena_cmds[i], 0), &arg), EINVAL);
		assert_errno(ioctl(fd, CMD_SIZED(arena_cmds[i], 4), &arg), EINVAL);
		assert_errno(ioctl(fd, CMD_SIZED(arena_cmds[i], size - 1), &arg),
			     EINVAL);
	}
	for (i = 0; i < ARRAY_SIZE(device_cmds); i++)
		assert_errno(ioctl(dev, CMD_SIZED(device_cmds[i], 8), &arg),
			     EINVAL);
	/* The first version of this one was shorter. */
	assert_errno(ioctl(dev, CMD_SIZED(HSPAN_IOC_ARENA_CREATE, 31), &arg),
		     EINVAL);
	assert_unchanged(fd, &before);
	close(dev);
}

static void longer_zero_tail(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	union arg arg = { .limit.limit = ABI_BLOCKS };

	assert_int_equal(ioctl(fd, CMD_SIZED(HSPAN_IOC_LIMIT, 24), &arg), 0);
	assert_int_equal(ioctl(fd, CMD_SIZED(HSPAN_IOC_LIMIT, 1024), &arg), 0);
	memset(&arg, 0, sizeof(arg));
	assert_int_equal(ioctl(fd, CMD_SIZED(HSPAN_IOC_RELEASE, 200), &arg), 0);
	assert_unchanged(fd, &before);
}

static void longer_nonzero_tail(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(arena_cmds); i++) {
		unsigned int cmd = arena_cmds[i], size = _IOC_SIZE(cmd);
		union arg arg = {};

		if (!(_IOC_DIR(cmd) & _IOC_WRITE))
			continue;
		arg.bytes[size] = 1;
		assert_errno(ioctl(fd, CMD_SIZED(cmd, size + 1), &arg), E2BIG);
		arg.bytes[size] = 0;
		arg.bytes[size + 99] = 1;
		assert_errno(ioctl(fd, CMD_SIZED(cmd, size + 100), &arg), E2BIG);
	}
	assert_unchanged(fd, &before);
}

static void longer_output_is_cleared(void **state)
{
	struct hspan_arena_stats *st;
	unsigned char buf[512];
	unsigned int i;

	memset(buf, 0xaa, sizeof(buf));
	assert_int_equal(ioctl(abi_fd(state), CMD_SIZED(HSPAN_IOC_STATS, 500),
			       buf), 0);
	st = (void *)buf;
	assert_int_equal(st->clients, 1);
	for (i = sizeof(*st); i < 500; i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(buf[500], 0xaa);
}

static void unknown_command(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	union arg arg = {};
	unsigned int nr, i;

	for (nr = _IOC_NR(HSPAN_IOC_ARENA_FIND) + 1; nr < 256; nr++)
		assert_errno(ioctl(fd, _IOWR(HSPAN_IOC_MAGIC, nr, union arg),
				   &arg), ENOTTY);
	for (i = 0; i < ARRAY_SIZE(arena_cmds); i++) {
		unsigned int cmd = arena_cmds[i];

		assert_errno(ioctl(fd, cmd ^ (1U << _IOC_TYPESHIFT), &arg),
			     ENOTTY);
		assert_errno(ioctl(fd, _IOC(_IOC_NONE, HSPAN_IOC_MAGIC,
					    _IOC_NR(cmd), _IOC_SIZE(cmd)),
				   &arg), ENOTTY);
	}
	assert_unchanged(fd, &before);
}

static void wrong_file(void **state)
{
	int dev = abi_device(), null = open("/dev/null", O_RDWR);
	union arg arg = { .arena_create.size = HSPAN_BLOCK_SIZE };
	unsigned int i;

	assert_errno(ioctl(abi_fd(state), HSPAN_IOC_ARENA_CREATE, &arg), ENOTTY);
	memset(&arg, 0, sizeof(arg));
	for (i = 0; i < ARRAY_SIZE(arena_cmds); i++) {
		assert_errno(ioctl(null, arena_cmds[i], &arg), ENOTTY);
		if (arena_cmds[i] != HSPAN_IOC_DEVICE_INFO)
			assert_errno(ioctl(dev, arena_cmds[i], &arg), ENOTTY);
	}
	close(null);
	close(dev);
}

static void closed_fd(void **state)
{
	int fd = abi_open(abi_fd(state));
	union arg arg = {};
	unsigned int i;

	assert_true(fd >= 0);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(arena_cmds); i++)
		assert_errno(ioctl(fd, arena_cmds[i], &arg), EBADF);
	assert_ptr_equal(mmap(NULL, HSPAN_BLOCK_SIZE, PROT_READ, MAP_SHARED,
			      fd, 0), MAP_FAILED);
	assert_int_equal(errno, EBADF);
}

static void unknown_flags(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	struct hspan_span span;
	struct hspan_put put = {};
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		__u32 flag = 1U << bit;
		struct hspan_arena_open open = { .flags = flag };
		struct hspan_arena_open open_fd = { .fd_flags = flag };
		struct hspan_span_get get = {
			.spans = (uintptr_t)&span, .nr = 1,
			.span_class = CLASS_32, .flags = flag,
		};
		struct hspan_span_put put_args = {
			.puts = (uintptr_t)&put, .nr = 1, .flags = flag,
		};
		struct hspan_sweep_next sweep = {
			.spans = (uintptr_t)&span, .nr = 1, .flags = flag,
		};
		struct hspan_cycle cycle = { .flags = flag };
		struct hspan_release release = { .max = 1, .flags = flag };
		struct hspan_release reserved = { .max = 1, .reserved = flag };
		struct hspan_limit limit = { .limit = 1, .flags = flag };
		struct hspan_limit limit_res = { .limit = 1, .reserved = flag };

		assert_errno(ioctl(fd, HSPAN_IOC_ARENA_OPEN, &open), EINVAL);
		if (flag != O_CLOEXEC)
			assert_errno(ioctl(fd, HSPAN_IOC_ARENA_OPEN, &open_fd),
				     EINVAL);
		if (flag != HSPAN_GET_FRESH)
			assert_errno(ioctl(fd, HSPAN_IOC_SPAN_GET, &get),
				     EINVAL);
		assert_errno(ioctl(fd, HSPAN_IOC_SPAN_PUT, &put_args), EINVAL);
		assert_errno(ioctl(fd, HSPAN_IOC_SWEEP_NEXT, &sweep), EINVAL);
		assert_errno(ioctl(fd, HSPAN_IOC_CYCLE, &cycle), EINVAL);
		assert_errno(ioctl(fd, HSPAN_IOC_RELEASE, &release), EINVAL);
		assert_errno(ioctl(fd, HSPAN_IOC_RELEASE, &reserved), EINVAL);
		assert_errno(ioctl(fd, HSPAN_IOC_LIMIT, &limit), EINVAL);
		assert_errno(ioctl(fd, HSPAN_IOC_LIMIT, &limit_res), EINVAL);
	}
	assert_unchanged(fd, &before);
}

static void bad_arena(void **state)
{
	static const struct hspan_arena_create bad[] = {
		{ .size = 0 },
		{ .size = 1 },
		{ .size = HSPAN_BLOCK_SIZE - 1 },
		{ .size = HSPAN_BLOCK_SIZE + 4096 },
		{ .size = HSPAN_ARENA_MAX + HSPAN_BLOCK_SIZE },
		{ .size = -HSPAN_BLOCK_SIZE },
		{ .size = ~0ULL },
		{ .size = HSPAN_BLOCK_SIZE, .base = 4096 },
		{ .size = HSPAN_BLOCK_SIZE, .base = -HSPAN_BLOCK_SIZE },
		{ .size = HSPAN_BLOCK_SIZE, .base = 1ULL << 47 },
		{ .size = 2 * HSPAN_BLOCK_SIZE,
		  .base = (1ULL << 47) - HSPAN_BLOCK_SIZE },
		{ .size = HSPAN_BLOCK_SIZE, .flags = 4 },
		{ .size = HSPAN_BLOCK_SIZE, .flags = 1U << 31 },
		{ .size = HSPAN_BLOCK_SIZE, .fd_flags = O_NONBLOCK },
		{ .size = HSPAN_BLOCK_SIZE, .fd_flags = ~0U },
		{ .size = HSPAN_BLOCK_SIZE, .reserved = 1 },
		{ .size = HSPAN_BLOCK_SIZE, .mode = 0600 },
		{ .size = HSPAN_BLOCK_SIZE, .name = "x", .mode = 0700 },
		{ .size = HSPAN_BLOCK_SIZE, .name = "x", .mode = 04600 },
		{ .size = HSPAN_BLOCK_SIZE, .name = "x", .mode = 1U << 31 },
		{ .size = HSPAN_BLOCK_SIZE, .name = "a/b" },
		{ .size = HSPAN_BLOCK_SIZE, .name = "a b" },
		{ .size = HSPAN_BLOCK_SIZE, .name = "a\n" },
		{ .size = HSPAN_BLOCK_SIZE, .name = "\xc3\xa4" },
		{ .size = HSPAN_BLOCK_SIZE, .name = "a\0b" },
		{ .size = HSPAN_BLOCK_SIZE, .name = "\0b" },
	};
	long arenas = abi_sysfs("nr_arenas");
	int dev = abi_device();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_errno(ioctl(dev, HSPAN_IOC_ARENA_CREATE, &bad[i]), EINVAL);
	assert_errno(ioctl(dev, HSPAN_IOC_ARENA_CREATE, NULL), EFAULT);
	assert_int_equal(abi_sysfs("nr_arenas"), arenas);
	close(dev);
	(void)state;
}

static void bad_get(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	struct hspan_span span[2];

	assert_errno(abi_get(fd, CLASS_32, 0, span, 0), EINVAL);
	assert_errno(abi_get(fd, CLASS_32, 0, span, HSPAN_BATCH_MAX + 1), EINVAL);
	assert_errno(abi_get(fd, CLASS_32, 0, span, ~0U), EINVAL);
	assert_errno(abi_get(fd, CLASS_32, 1, span, 1), EINVAL);
	assert_errno(abi_get(fd, 256, 0, span, 1), EINVAL);
	assert_errno(abi_get(fd, ~0U, 0, span, 1), EINVAL);
	assert_errno(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 0, span, 1), EINVAL);
	assert_unchanged(fd, &before);
}

static void no_room(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	unsigned int pages = ABI_BLOCKS * HSPAN_BLOCK_PAGES;
	struct hspan_limit limit = { .limit = 2 };
	struct hspan_span span;

	assert_errno(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, pages + 1, &span, 1),
		     ENOSPC);
	assert_errno(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, ~0U, &span, 1), ENOSPC);
	assert_int_equal(ioctl(fd, HSPAN_IOC_LIMIT, &limit), 0);
	assert_errno(abi_get(fd, HSPAN_CLASS_LARGE_SCAN,
			     3 * HSPAN_BLOCK_PAGES, &span, 1), EDQUOT);
	assert_same_spans(fd, &before);
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN,
				 2 * HSPAN_BLOCK_PAGES, &span, 1), 1);
	assert_errno(abi_get(fd, CLASS_32, 0, &span, 1), EDQUOT);
	limit.limit = 0;
	assert_errno(ioctl(fd, HSPAN_IOC_LIMIT, &limit), EINVAL);
}

/* One put; returns its error field and checks that the call agrees. */
static int put_error(int fd, __u32 page, __u32 nfree, __u32 sweepgen)
{
	struct hspan_put put = {
		.page = page, .nfree = nfree, .sweepgen = sweepgen,
		.error = 12345,
	};
	struct hspan_span_put args = { .puts = (uintptr_t)&put, .nr = 1 };
	int ret = ioctl(fd, HSPAN_IOC_SPAN_PUT, &args);

	if (ret) {
		assert_int_equal(put.error, -errno);
		assert_int_equal(args.nr, 0);
	} else {
		assert_int_equal(put.error, 0);
		assert_int_equal(args.nr, 1);
	}
	return put.error;
}

static void bad_put(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before;
	struct hspan_span span;
	__u32 gen;

	assert_int_equal(put_error(fd, 0, 1, 1), -ENOENT);
	assert_int_equal(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 4, &span, 1), 1);
	before = abi_stats(fd);
	gen = before.sweepgen;
	assert_int_equal(put_error(fd, span.page + 1, 1, gen), -ENOENT);
	assert_int_equal(put_error(fd, span.page + 4, 1, gen), -ENOENT);
	assert_int_equal(put_error(fd, ABI_BLOCKS * HSPAN_BLOCK_PAGES, 1, gen),
			 -ENOENT);
	assert_int_equal(put_error(fd, ~0U, 1, gen), -ENOENT);
	assert_int_equal(put_error(fd, 1U << 31, 1, gen), -ENOENT);
	assert_int_equal(put_error(fd, span.page, 2, gen), -EINVAL);
	assert_int_equal(put_error(fd, span.page, ~0U, gen), -EINVAL);
	assert_int_equal(put_error(fd, span.page, 1, gen + 1), -EINVAL);
	assert_int_equal(put_error(fd, span.page, 1, gen + 2), -EINVAL);
	assert_int_equal(put_error(fd, span.page, 1, gen - 2), -EINVAL);
	assert_int_equal(put_error(fd, span.page, 1, ~0U - 1), -EINVAL);
	assert_unchanged(fd, &before);
	assert_int_equal(put_error(fd, span.page, span.nfree, gen), 0);
}

static void foreign_put(void **state)
{
	int fd = abi_fd(state), other = abi_open(fd);
	struct hspan_arena_stats before;
	struct hspan_span span;

	assert_true(other >= 0);
	assert_int_equal(abi_get(fd, CLASS_32, 0, &span, 1), 1);
	before = abi_stats(fd);
	assert_int_equal(put_error(other, span.page, span.nfree, span.sweepgen),
			 -EPERM);
	assert_unchanged(fd, &before);
	assert_int_equal(put_error(fd, span.page, span.nfree, span.sweepgen), 0);
	close(other);
}

static void double_put(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before;
	struct hspan_span span[2];

	/* Its second put finds a span that nobody holds ... */
	abi_get_all(fd, CLASS_32, 0, span, 2);
	assert_int_equal(put_error(fd, span[0].page, 1, span[0].sweepgen), 0);
	before = abi_stats(fd);
	assert_int_equal(put_error(fd, span[0].page, 1, span[0].sweepgen),
			 -EALREADY);
	assert_unchanged(fd, &before);
	/* ... or none, when the first put freed its pages. */
	assert_int_equal(put_error(fd, span[1].page, span[1].nfree,
				   span[1].sweepgen), 0);
	before = abi_stats(fd);
	assert_int_equal(put_error(fd, span[1].page, span[1].nfree,
				   span[1].sweepgen), -ENOENT);
	assert_unchanged(fd, &before);
}

static void batch_put(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	struct hspan_span span[2];
	struct hspan_put puts[4] = {};
	struct hspan_span_put args = { .puts = (uintptr_t)puts };
	const unsigned int bad_nr[] = { 0, HSPAN_BATCH_MAX + 1, ~0U };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_nr); i++) {
		args.nr = bad_nr[i];
		assert_errno(ioctl(fd, HSPAN_IOC_SPAN_PUT, &args), EINVAL);
		assert_int_equal(args.nr, bad_nr[i]);
	}
	abi_get_all(fd, CLASS_32, 0, span, 2);
	puts[0] = (struct hspan_put){ .page = ~0U, .sweepgen = 1 };
	puts[1] = (struct hspan_put){ .page = span[0].page, .nfree = 3,
				      .sweepgen = span[0].sweepgen };
	puts[2] = puts[1];
	puts[3] = (struct hspan_put){ .page = span[1].page,
				      .nfree = span[1].nfree,
				      .sweepgen = span[1].sweepgen };
	args.nr = 4;
	assert_errno(ioctl(fd, HSPAN_IOC_SPAN_PUT, &args), ENOENT);
	assert_int_equal(args.nr, 2);
	assert_int_equal(puts[0].error, -ENOENT);
	assert_int_equal(puts[1].error, 0);
	assert_int_equal(puts[2].error, -EALREADY);
	assert_int_equal(puts[3].error, 0);
	assert_int_equal(abi_stats(fd).spans_held, before.spans_held);
}

static void null_struct(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	void *bad[] = { NULL, (void *)-4096UL, (void *)(1UL << 63) };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(arena_cmds); i++)
		for (j = 0; j < ARRAY_SIZE(bad); j++)
			assert_errno(ioctl(fd, arena_cmds[i], bad[j]), EFAULT);
	assert_unchanged(fd, &before);
}

static void null_spans(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	struct hspan_span *ro = mmap(NULL, 8192, PROT_READ,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct hspan_span *half = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct hspan_span_put put = { .nr = 1 };

	munmap((char *)half + 4096, 4096);
	half = (void *)((char *)half + 4096 - 2 * sizeof(*half));
	assert_errno(abi_get(fd, CLASS_32, 0, NULL, 1), EFAULT);
	assert_errno(abi_get(fd, CLASS_32, 0, NULL, 64), EFAULT);
	assert_errno(abi_get(fd, CLASS_32, 0, ro, 1), EFAULT);
	assert_errno(abi_get(fd, CLASS_32, 0, half, 4), EFAULT);
	assert_errno(abi_get(fd, HSPAN_CLASS_LARGE_SCAN, 300, ro, 1), EFAULT);
	assert_errno(ioctl(fd, HSPAN_IOC_SPAN_PUT, &put), EFAULT);
	assert_same_spans(fd, &before);
	munmap(ro, 8192);
}

/* A struct that cannot be written back: the spans must not get lost. */
static void read_only_struct(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before = abi_stats(fd);
	struct hspan_span spans[16];
	struct hspan_span_get *get = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	get->spans = (uintptr_t)spans;
	get->nr = 16;
	get->span_class = CLASS_32;
	mprotect(get, 4096, PROT_READ);
	assert_errno(ioctl(fd, HSPAN_IOC_SPAN_GET, get), EFAULT);
	assert_same_spans(fd, &before);
	munmap(get, 4096);
}

static void null_sweep(void **state)
{
	int fd = abi_fd(state);
	struct hspan_arena_stats before;
	struct hspan_span spans[8];
	unsigned int i;

	abi_get_all(fd, CLASS_32, 0, spans, 8);
	for (i = 0; i < 8; i++)
		assert_int_equal(abi_put(fd, &spans[i], 0), 0);
	assert_int_equal(abi_cycle(fd), 2);
	before = abi_stats(fd);
	assert_int_equal(before.nr_unswept, 8);
	assert_errno(abi_sweep(fd, NULL, 4), EFAULT);
	assert_errno(abi_sweep(fd, spans, 0), EINVAL);
	assert_errno(abi_sweep(fd, spans, HSPAN_BATCH_MAX + 1), EINVAL);
	assert_same_spans(fd, &before);
	assert_int_equal(abi_stats(fd).nr_unswept, 8);
	assert_errno(abi_cycle(fd), EBUSY);
	assert_same_spans(fd, &before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, abi_setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(size_too_small), TEST(longer_zero_tail),
		TEST(longer_nonzero_tail), TEST(longer_output_is_cleared),
		TEST(unknown_command), TEST(wrong_file), TEST(closed_fd),
		TEST(unknown_flags), TEST(bad_arena), TEST(bad_get),
		TEST(no_room), TEST(bad_put), TEST(foreign_put),
		TEST(double_put), TEST(batch_put), TEST(null_struct),
		TEST(null_spans), TEST(read_only_struct), TEST(null_sweep),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

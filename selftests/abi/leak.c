// SPDX-License-Identifier: GPL-2.0-only
/*
 * No user sees a byte of another: not in recycled blocks, bits, notes, page maps
 * and control pages, nor in what calls write to their callers.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "abi.h"

#define BLOCK		HSPAN_BLOCK_SIZE
#define NR		3			/* blocks of an arena */
#define FIRST_USER	2000

#define BITS_SIZE	(NR * HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE * \
			 HSPAN_BITS_PLANES)

/**
 * struct view - an arena and all that can be mapped of it
 * @fd: the arena
 * @data: NR blocks
 * @bits: of all of them
 * @map: their part of the page map, and a rest that is nobody's
 * @control: the control page
 * @notes: of all blocks, and a rest that is nobody's
 */
struct view {
	int fd;
	char *data;
	char *bits;
	__u32 *map;
	struct hspan_control *control;
	__u32 *notes;
};

static int create(int dev, unsigned long blocks)
{
	struct hspan_arena_create args = { .size = blocks * BLOCK };

	return ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
}

static struct view view_create(int dev)
{
	struct view v = { .fd = create(dev, NR) };

	CHECK(v.fd >= 0);
	v.data = abi_map_data(v.fd, NR);
	v.bits = abi_map(v.fd, HSPAN_OFF_BITS, BITS_SIZE,
			 PROT_READ | PROT_WRITE);
	v.map = abi_map(v.fd, HSPAN_OFF_PAGE_MAP, 4096, PROT_READ);
	v.control = abi_map(v.fd, HSPAN_OFF_CONTROL, 4096, PROT_READ);
	v.notes = abi_map(v.fd, HSPAN_OFF_NOTES, 4096, PROT_READ | PROT_WRITE);
	return v;
}

static int all_zero(const void *p, size_t size)
{
	const char *c = p;

	return !c[0] && !memcmp(c, c + 1, size - 1);
}

static void check_nothing_there(const struct view *v)
{
	CHECK(all_zero(v->bits, BITS_SIZE));
	CHECK(all_zero(v->map, 4096));
	CHECK(all_zero(v->notes, 4096));
	CHECK(v->control->sweepgen == 1);
	CHECK(!v->control->nr_unswept && !v->control->blocks_held &&
	      !v->control->blocks_free);
	CHECK(all_zero(v->control->reserved, sizeof(v->control->reserved)));
	CHECK(all_zero(v->control + 1, 4096 - sizeof(*v->control)));
}

/* Find only zeros, leave only @fill: in blocks by one span, and in bits. */
static void use(const struct view *v, int fill)
{
	struct hspan_span span;

	CHECK(abi_get(v->fd, HSPAN_CLASS_LARGE_NOSCAN, NR * HSPAN_BLOCK_PAGES,
		      &span, 1) == 1);
	CHECK(span.flags == HSPAN_SPAN_FRESH);
	CHECK(all_zero(v->data, NR * BLOCK));
	CHECK(all_zero(v->bits, BITS_SIZE));
	CHECK(all_zero(v->map + NR * HSPAN_BLOCK_PAGES,
		       4096 - NR * HSPAN_BLOCK_PAGES * 4));
	memset(v->data, fill, NR * BLOCK);
	memset(v->bits, fill, BITS_SIZE);
	memset(v->notes, fill, 4096);
	CHECK(!abi_put(v->fd, &span, 1));
}

/* One user's turn: to the pool and back, then leave what is there. */
static void one_turn(int dev, void *arg)
{
	int *round = arg;
	struct view v = view_create(dev);

	check_nothing_there(&v);
	use(&v, 0xa0 + *round % 16);
	CHECK(abi_release(v.fd) == NR);
	use(&v, 0x50 + *round % 16);
	if (*round % 3 == 1)
		raise(SIGKILL);
}

static void users_in_turn(void **state)
{
	long recycled = abi_sysfs("pool/recycled");
	int round, ret;

	(void)state;
	for (round = 0; round < 12; round++) {
		ret = abi_run_as(FIRST_USER + round % 4, one_turn, &round);
		assert_int_equal(ret, round % 3 == 1 ? 256 + SIGKILL : 0);
	}
	/* Else this was no test of recycling. */
	assert_in_range(abi_sysfs("pool/recycled") - recycled, 2 * NR,
			1L << 30);
}

/* All at once, each with its own pattern, which stays as long as it is theirs. */
static void many_turns(int dev, void *arg)
{
	struct view v = view_create(dev);
	struct hspan_span span;
	int fill = getuid() & 0xff, i;

	check_nothing_there(&v);
	for (i = 0; i < 12; i++) {
		use(&v, fill);
		CHECK(abi_get(v.fd, HSPAN_CLASS_LARGE_NOSCAN,
			      NR * HSPAN_BLOCK_PAGES, &span, 1) == 1);
		CHECK(span.flags == HSPAN_SPAN_EMPTY);
		CHECK((unsigned char)v.data[0] == fill &&
		      !memcmp(v.data, v.data + 1, NR * BLOCK - 1));
		CHECK(!memcmp(v.bits, v.data, BITS_SIZE));
		CHECK(!abi_put(v.fd, &span, 1));
		CHECK(abi_release(v.fd) == NR);
	}
	(void)arg;
}

static void users_at_once(void **state)
{
	pid_t pids[4];
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = abi_start_as(FIRST_USER + i, many_turns, NULL);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		assert_int_equal(abi_end(pids[i]), 0);
}

/* Bits that a pipe still has: whoever comes next gets other memory. */
static void pipe_of_bits(void **state)
{
	int fd = abi_fd(state), pipes[2];
	char buf[4096], *bits = abi_map(fd, HSPAN_OFF_BITS, 4096,
					PROT_READ | PROT_WRITE);
	struct iovec iov = { .iov_base = bits, .iov_len = 4096 };
	struct hspan_span span;

	abi_get_all(fd, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES, &span, 1);
	memset(bits, 0x77, 4096);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(vmsplice(pipes[1], &iov, 1, 0), 4096);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_release(fd), 1);
	abi_get_all(fd, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES, &span, 1);
	assert_true(all_zero(bits, 4096));
	memset(bits, 0x11, 4096);
	assert_int_equal(read(pipes[0], buf, 4096), 4096);
	assert_true(buf[0] == 0x77 && !memcmp(buf, buf + 1, 4095));
	close(pipes[0]);
	close(pipes[1]);
	munmap(bits, 4096);
}

/* Whatever was in the caller's struct, the answer is the same, to the byte. */
static void same_answer(int fd, unsigned int cmd)
{
	unsigned char a[512], b[512];

	memset(a, 0xa5, sizeof(a));
	memset(b, 0x5a, sizeof(b));
	assert_int_equal(ioctl(fd, cmd, a), 0);
	assert_int_equal(ioctl(fd, cmd, b), 0);
	assert_memory_equal(a, b, _IOC_SIZE(cmd));
	assert_int_equal(a[_IOC_SIZE(cmd)], 0xa5);
}

static void answers_are_complete(void **state)
{
	int fd = abi_fd(state), dev = abi_device(), i;
	struct hspan_span spans[32];

	same_answer(dev, HSPAN_IOC_DEVICE_INFO);
	same_answer(fd, HSPAN_IOC_DEVICE_INFO);
	same_answer(fd, HSPAN_IOC_ARENA_INFO);
	same_answer(fd, HSPAN_IOC_STATS);
	same_answer(fd, _IOC(_IOC_READ, HSPAN_IOC_MAGIC, 0x0a, 400));

	/* On the kernel's stack and off it. */
	for (i = 1; i <= 32; i += 31) {
		int nr, j;

		memset(spans, 0xa5, sizeof(spans));
		nr = abi_get(fd, CLASS_32, 0, spans, i);
		assert_int_equal(nr, i);
		for (j = 0; j < nr; j++) {
			assert_int_equal(spans[j].npages, 1);
			assert_int_equal(spans[j].span_class, CLASS_32);
			assert_true(spans[j].flags == HSPAN_SPAN_FRESH ||
				    spans[j].flags == HSPAN_SPAN_EMPTY);
			assert_int_equal(spans[j].nfree, 256);
			assert_int_equal(spans[j].sweepgen, 1);
			assert_int_equal(spans[j].reserved, 0);
		}
		if (i < 32)
			assert_int_equal(spans[i].page, 0xa5a5a5a5);
		assert_int_equal(abi_put_all(fd, spans, nr), 0);
	}
	close(dev);
}

/* The page map ends within a page: its rest tells nothing. */
static void tail_of_the_page_map(void **state)
{
	int dev = abi_device(), fd = create(dev, 1);
	__u32 *map = abi_map(fd, HSPAN_OFF_PAGE_MAP, 4096, PROT_READ);
	struct hspan_span span;

	abi_get_all(fd, HSPAN_CLASS_LARGE_SCAN, HSPAN_BLOCK_PAGES, &span, 1);
	assert_int_not_equal(map[HSPAN_BLOCK_PAGES - 1], 0);
	assert_true(all_zero(map + HSPAN_BLOCK_PAGES,
			     4096 - HSPAN_BLOCK_PAGES * 4));
	munmap(map, 4096);
	close(fd);
	close(dev);
	(void)state;
}

/* What an ended client knew is not in its successor's page map either. */
static void page_map_of_released_blocks(void **state)
{
	int fd = abi_fd(state);
	__u32 *map = abi_map(fd, HSPAN_OFF_PAGE_MAP, 4096, PROT_READ);
	struct hspan_span spans[64];

	abi_get_all(fd, CLASS_32, 0, spans, 64);
	assert_int_equal(abi_put_all(fd, spans, 64), 0);
	abi_release(fd);
	assert_true(all_zero(map, 4096));
	munmap(map, 4096);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, abi_setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_in_turn), cmocka_unit_test(users_at_once),
		TEST(pipe_of_bits), TEST(answers_are_complete),
		cmocka_unit_test(tail_of_the_page_map),
		TEST(page_map_of_released_blocks),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, abi_baseline, abi_baseline);
}

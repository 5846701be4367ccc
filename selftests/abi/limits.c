// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user may make the kernel hold, over all arenas: blocks, tables, bits,
 * clients.  Every way to more ends in EDQUOT, and what was held comes back.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "abi.h"

#define ALICE	1001
#define BOB	1002
#define BLOCK	HSPAN_BLOCK_SIZE
/* What one block costs, with its bits, and with them its descriptors. */
#define COST	(BLOCK + HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE * HSPAN_BITS_PLANES)

static char old_limit[32];

static void set_limit(unsigned long blocks)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", blocks);
	assert_int_equal(abi_set_sysfs("user_limit", text), 0);
}

static int create(int dev, unsigned long blocks, const char *name)
{
	struct hspan_arena_create args = { .size = blocks * BLOCK,
					   .limit = blocks };

	if (name) {
		memcpy(args.name, name, strlen(name));
		args.mode = 0666;
	}
	return ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
}

/* Take whole blocks, one after the other; returns how many came. */
static unsigned int take_all(int fd, unsigned int max)
{
	struct hspan_span span;
	unsigned int nr = 0;

	while (nr < max && abi_get(fd, HSPAN_CLASS_LARGE_NOSCAN,
				   HSPAN_BLOCK_PAGES, &span, 1) == 1)
		nr++;
	return nr;
}

static void put_block(int fd, unsigned int block)
{
	struct hspan_span span = { .page = block * HSPAN_BLOCK_PAGES };

	CHECK(!abi_put(fd, &span, 1));
}

static void charged_exactly(int dev, void *arg)
{
	int fd = create(dev, 16, NULL);
	long empty, one, again;

	CHECK(fd >= 0);
	empty = abi_fdinfo(fd, "charged");
	CHECK(empty > 0 && empty < 1 << 20);
	CHECK(abi_fdinfo(fd, "user") == ALICE);
	CHECK(abi_fdinfo(fd, "user-charged") == empty);
	CHECK(take_all(fd, 1) == 1);
	one = abi_fdinfo(fd, "charged");
	CHECK(one >= empty + (long)COST && one < empty + (long)COST + 65536);
	put_block(fd, 0);
	CHECK(abi_fdinfo(fd, "charged") == one);
	CHECK(abi_release(fd) == 1);
	again = abi_fdinfo(fd, "charged");	/* descriptors stay */
	CHECK(again == one - (long)COST);
	CHECK(take_all(fd, 1) == 1);
	CHECK(abi_fdinfo(fd, "charged") == one);
	CHECK(abi_sysfs("charged") == one);
	CHECK(abi_sysfs("users") == 1);
	(void)arg;
}

static void accounting(void **state)
{
	(void)state;
	assert_int_equal(abi_run_as(ALICE, charged_exactly, NULL), 0);
	assert_int_equal(abi_sysfs("charged"), 0);
	assert_int_equal(abi_sysfs("users"), 0);
}

static void blocks_of_two_arenas(int dev, void *arg)
{
	int one = create(dev, 16, NULL), two = create(dev, 16, NULL);
	struct hspan_limit limit = { .limit = 1000 };
	struct hspan_span span;

	CHECK(one >= 0 && two >= 0);
	CHECK(take_all(one, 5) == 5);
	CHECK(take_all(two, 16) == 2 && errno == EDQUOT);
	CHECK(take_all(one, 1) == 0 && errno == EDQUOT);
	/* Nor is there another way. */
	CHECK(!ioctl(two, HSPAN_IOC_LIMIT, &limit));
	CHECK(take_all(two, 1) == 0 && errno == EDQUOT);
	CHECK(abi_get(two, CLASS_32, 0, &span, 1) < 0 && errno == EDQUOT);
	CHECK(abi_get(two, HSPAN_CLASS_LARGE_SCAN, 3 * HSPAN_BLOCK_PAGES, &span,
		      1) < 0 && errno == EDQUOT);
	CHECK(abi_stats(two).blocks_held == 2);
	put_block(one, 0);
	CHECK(take_all(two, 1) == 0 && errno == EDQUOT);	/* one still has it */
	CHECK(abi_release(one) == 1);
	CHECK(take_all(two, 16) == 1 && errno == EDQUOT);
	close(one);
	CHECK(take_all(two, 4) == 4);
	(void)arg;
}

static void one_limit_for_all_arenas(void **state)
{
	(void)state;
	set_limit(8);
	assert_int_equal(abi_run_as(ALICE, blocks_of_two_arenas, NULL), 0);
}

static void hold_all(int dev, void *arg)
{
	int *ready = arg, fd = create(dev, 16, NULL);

	CHECK(take_all(fd, 16) == 7 && errno == EDQUOT);
	CHECK(write(ready[1], "", 1) == 1);
	pause();
}

/* Alice, who may have 8 blocks, has told by @ready that she is at it. */
static pid_t start_alice(void (*fn)(int dev, void *arg), int ready[2])
{
	pid_t alice;
	char c;

	set_limit(8);
	assert_int_equal(pipe(ready), 0);
	alice = abi_start_as(ALICE, fn, ready);
	assert_int_equal(read(ready[0], &c, 1), 1);
	return alice;
}

/* That Alice has all she may have is nothing to Bob. */
static void another_user_is_not_concerned(void **state)
{
	int ready[2];
	pid_t alice = start_alice(hold_all, ready);

	(void)state;
	assert_int_equal(abi_sysfs("users"), 1);
	assert_int_equal(abi_run_as(BOB, blocks_of_two_arenas, NULL), 0);
	kill(alice, SIGKILL);
	assert_int_equal(abi_end(alice), 256 + SIGKILL);
	assert_int_equal(abi_sysfs("charged"), 0);
	close(ready[0]);
	close(ready[1]);
}

/* Bits of held blocks, and the page map, are paid for beforehand. */
static void touch_what_is_paid(int dev, void *arg)
{
	const size_t part = HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE;
	int fd = create(dev, 64, NULL);
	char *bits = abi_map(fd, HSPAN_OFF_BITS, 2 * 64 * part,
			     PROT_READ | PROT_WRITE);
	char *map = abi_map(fd, HSPAN_OFF_PAGE_MAP, 65536, PROT_READ);
	unsigned int nr = take_all(fd, 64);
	long charged = abi_fdinfo(fd, "charged");
	size_t i;

	CHECK(nr == 7 && errno == EDQUOT);
	for (i = 0; i < nr * part; i += 4096)
		CHECK(!abi_touch(bits + i, 1) &&
		      !abi_touch(bits + 64 * part + i, 1));
	for (i = 0; i < 65536; i += 4096)
		CHECK(!abi_touch(map + i, 0));
	CHECK(abi_fdinfo(fd, "charged") == charged);
	(void)arg;
}

/* Bits of blocks that are not there, one by one. */
static void touch_bits_of_nothing(int dev, void *arg)
{
	const size_t part = HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE;
	const size_t size = 2 * 128 * part;
	int fd = create(dev, 128, NULL);
	char *bits = abi_map(fd, HSPAN_OFF_BITS, size, PROT_READ | PROT_WRITE);
	long empty = abi_fdinfo(fd, "charged");
	size_t nr = 0;

	while (nr < size / 4096 && !abi_touch(bits + nr * 4096, 1))
		nr++;
	CHECK(nr > 0 && nr < 512);
	CHECK(abi_fdinfo(fd, "charged") == empty + (long)nr * 4096);
	CHECK(abi_touch(bits + size - 1, 0) == SIGBUS);
	CHECK(abi_touch(bits, 0) == 0);
	CHECK(take_all(fd, 1) == 0 && errno == EDQUOT);
	/* They stay when nobody looks. */
	CHECK(!munmap(bits, size));
	CHECK(abi_fdinfo(fd, "charged") == empty + (long)nr * 4096);
	(void)arg;
}

/* Such bits go with a block that comes and goes. */
static void lone_bits_go_with_block(int dev, void *arg)
{
	const size_t part = HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE;
	int fd = create(dev, 16, NULL);
	char *bits = abi_map(fd, HSPAN_OFF_BITS, 2 * 16 * part,
			     PROT_READ | PROT_WRITE);
	long empty, one;

	CHECK(take_all(fd, 1) == 1);
	one = abi_fdinfo(fd, "charged");
	put_block(fd, 0);
	CHECK(abi_release(fd) == 1);
	empty = abi_fdinfo(fd, "charged");
	memset(bits, 1, part);
	memset(bits + 16 * part, 1, part);
	CHECK(abi_fdinfo(fd, "charged") == empty + 2 * (long)part);
	CHECK(take_all(fd, 1) == 1);
	CHECK(bits[0] == 1);
	CHECK(abi_fdinfo(fd, "charged") == one + 2 * (long)part);
	put_block(fd, 0);
	CHECK(abi_release(fd) == 1);
	CHECK(abi_fdinfo(fd, "charged") == empty);
	CHECK(bits[0] == 0);
	(void)arg;
}

static void bits(void **state)
{
	(void)state;
	set_limit(8);
	assert_int_equal(abi_run_as(ALICE, touch_what_is_paid, NULL), 0);
	assert_int_equal(abi_run_as(ALICE, lone_bits_go_with_block, NULL), 0);
	set_limit(1);
	assert_int_equal(abi_run_as(ALICE, touch_bits_of_nothing, NULL), 0);
	assert_int_equal(abi_sysfs("charged"), 0);
}

/* Arenas until there may be no more; returns how many. */
static int arenas_of(int dev, unsigned long blocks, int max)
{
	int nr = 0, fd;

	while (nr < max) {
		fd = create(dev, blocks, NULL);
		if (fd < 0)
			break;
		nr++;
	}
	return nr;
}

static void largest_arenas(int dev, void *arg)
{
	int nr = arenas_of(dev, HSPAN_ARENA_MAX / BLOCK, 1000);

	CHECK(errno == EDQUOT);
	CHECK(nr == 3);		/* 130 MiB each, of 512 MiB */
	CHECK(abi_sysfs("nr_arenas") == nr);
	(void)arg;
}

static void smallest_arenas(int dev, void *arg)
{
	int nr = arenas_of(dev, 1, 4000);

	CHECK(nr > 10 && nr < 4000 && errno == EDQUOT);
	CHECK(abi_sysfs("nr_arenas") == nr);
	CHECK(abi_sysfs("charged") > 7L << 20);
	(void)arg;
}

static void many_clients(int dev, void *arg)
{
	int fd = create(dev, 1, NULL), nr = 0;

	CHECK(fd >= 0);
	while (nr < 16000 && abi_open(fd) >= 0)
		nr++;
	CHECK(nr > 100 && nr < 16000 && errno == EDQUOT);
	CHECK(abi_stats(fd).clients == (unsigned int)nr + 1);
	CHECK(create(dev, 1, NULL) < 0 && errno == EDQUOT);
	(void)arg;
}

static long free_kib(void)
{
	long kib = -1;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "MemAvailable: %ld", &kib);
	fclose(f);
	return kib;
}

/* However an unprivileged user makes many of something, there is an end. */
static void loops_end(void **state)
{
	struct rlimit files = { 16384, 16384 }, old;
	long before, after;
	int round;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	before = free_kib();
	for (round = 0; round < 2; round++) {
		set_limit(256);
		assert_int_equal(abi_run_as(ALICE, largest_arenas, NULL), 0);
		set_limit(4);
		assert_int_equal(abi_run_as(ALICE, smallest_arenas, NULL), 0);
		set_limit(1);
		assert_int_equal(abi_run_as(ALICE, many_clients, NULL), 0);
		assert_int_equal(abi_sysfs("nr_arenas"), 0);
		assert_int_equal(abi_sysfs("charged"), 0);
	}
	after = free_kib();
	assert_in_range(after, before - 64 * 1024, 1L << 40);
	setrlimit(RLIMIT_NOFILE, &old);
}

/* The creator pays, whoever asks for the memory. */
static void bob_takes(int dev, void *arg)
{
	struct hspan_arena_find find = { .name = "alice" };
	int fd = ioctl(dev, HSPAN_IOC_ARENA_FIND, &find);

	CHECK(fd >= 0);
	CHECK(take_all(fd, 16) == 7 && errno == EDQUOT);
	CHECK(abi_fdinfo(fd, "user") == ALICE);
	CHECK(abi_fdinfo(fd, "user-charged") > 14L << 20);
	blocks_of_two_arenas(dev, NULL);	/* his own are left to him */
	(void)arg;
}

static void alice_shares(int dev, void *arg)
{
	int *ready = arg, fd = create(dev, 16, "alice");

	CHECK(fd >= 0 && write(ready[1], "", 1) == 1);
	pause();
}

static void creator_pays(void **state)
{
	int ready[2];
	pid_t alice = start_alice(alice_shares, ready);

	(void)state;
	assert_int_equal(abi_run_as(BOB, bob_takes, NULL), 0);
	/* Bob's client has gone; what he took stays in the arena, and hers. */
	assert_int_equal(abi_sysfs("users"), 1);
	assert_true(abi_sysfs("charged") > 14L << 20);
	kill(alice, SIGKILL);
	abi_end(alice);
	assert_int_equal(abi_sysfs("charged"), 0);
	close(ready[0]);
	close(ready[1]);
}

/* Without a capability in our effective set. */
static void drop_cap(int cap)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &head, data), 0);
	data[CAP_TO_INDEX(cap)].effective &= ~CAP_TO_MASK(cap);
	assert_int_equal(syscall(SYS_capset, &head, data), 0);
}

/* Root of a container is a user like others. */
static void in_a_container(int dev)
{
	int fd;

	if (unshare(CLONE_NEWUSER)) {
		dprintf(1, "# no user namespaces here\n");
		_exit(0);
	}
	fd = create(dev, 16, NULL);
	CHECK(fd < 0 && errno == EDQUOT);
	_exit(0);
}

static void who_is_limited(void **state)
{
	int dev = abi_device(), fd, other;

	(void)state;
	set_limit(4);
	fd = create(dev, 16, NULL);	/* by root */
	assert_int_equal(take_all(fd, 6), 6);
	assert_true(abi_sysfs("charged") > 12L << 20);	/* yet counted */
	if (!fork()) {
		drop_cap(CAP_IPC_LOCK);
		/* An arena stays what it was when it was created. */
		CHECK(take_all(fd, 1) == 1);
		CHECK(create(dev, 16, NULL) < 0 && errno == EDQUOT);
		_exit(0);
	}
	assert_true(wait(&other) > 0 && other == 0);
	if (!fork())
		in_a_container(dev);
	assert_true(wait(&other) > 0 && other == 0);
	close(fd);
	close(dev);
}

static void limit_attribute(void **state)
{
	(void)state;
	set_limit(7);
	assert_int_equal(abi_sysfs("user_limit"), 7);
	assert_int_equal(abi_set_sysfs("user_limit", "0"), -1);
	assert_int_equal(abi_set_sysfs("user_limit", "many"), -1);
	assert_int_equal(abi_set_sysfs("user_limit", "-1"), -1);
	assert_int_equal(abi_sysfs("user_limit"), 7);
	assert_int_equal(abi_set_sysfs("user_limit", "max\n"), 0);
	assert_int_equal(abi_run_as(ALICE, charged_exactly, NULL), 0);
}

/* A page of each block in a pipe keeps the block: still paid for. */
static void blocks_in_pipes(int dev, void *arg)
{
	int pipes[2], round;
	char *p;

	CHECK(!pipe(pipes));
	for (round = 0; round < 7; round++) {
		int fd = create(dev, 1, NULL);
		struct iovec iov;

		CHECK(fd >= 0);
		p = abi_map_data(fd, 1);
		iov = (struct iovec){ .iov_base = p, .iov_len = 1 };
		if (!take_all(fd, 1))
			break;
		*p = round;
		CHECK(vmsplice(pipes[1], &iov, 1, 0) == 1);
		munmap(p, BLOCK);
		close(fd);
	}
	CHECK(round == 3 && errno == EDQUOT);	/* of 4 blocks' worth */
	CHECK(abi_sysfs("pool/strays") == 3);
	CHECK(abi_sysfs("nr_arenas") == 1);
	CHECK(abi_sysfs("charged") > 6L << 20);
	(void)arg;
}

static void pipes_do_not_help(void **state)
{
	(void)state;
	set_limit(4);
	assert_int_equal(abi_run_as(ALICE, blocks_in_pipes, NULL), 0);
	abi_settle();
	assert_int_equal(abi_sysfs("charged"), 0);
	assert_int_equal(abi_sysfs("users"), 0);
}

static void take_forever(int dev, void *arg)
{
	int fd = create(dev, 100, NULL);
	struct hspan_span span;

	CHECK(fd >= 0);
	for (;;) {
		if (abi_get(fd, HSPAN_CLASS_LARGE_NOSCAN,
			    100 * HSPAN_BLOCK_PAGES, &span, 1) < 0) {
			CHECK(errno == ENOMEM);	/* in pieces */
			continue;
		}
		CHECK(!abi_put(fd, &span, 1));
		CHECK(abi_release(fd) == 100);
	}
	(void)arg;
}

/* In the middle of a long call, too. */
static void killed_at_any_time(void **state)
{
	unsigned int round;
	pid_t pid;

	(void)state;
	for (round = 0; round < 8; round++) {
		pid = abi_start_as(ALICE, take_forever, NULL);
		usleep(20000 + round * 7000);
		kill(pid, SIGKILL);
		assert_int_equal(abi_end(pid), 256 + SIGKILL);
		assert_int_equal(abi_sysfs("blocks_in_use"), 0);
		assert_int_equal(abi_sysfs("charged"), 0);
	}
}

#define CGROUP	"/sys/fs/cgroup/hugespan-limits"

static long cgroup_current(void)
{
	char text[32] = {};
	int fd = open(CGROUP "/memory.current", O_RDONLY);

	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strtol(text, NULL, 10);
}

/* What the kernel allocates is what it charges, but for 1/8 of overhead. */
static void fill_an_arena(int dev, void *arg)
{
	const unsigned long blocks = 4096;
	long before = cgroup_current(), charged, grown;
	int fd = create(dev, blocks, NULL);
	size_t size = blocks * HSPAN_BLOCK_PAGES * 4, i;
	char *map = abi_map(fd, HSPAN_OFF_PAGE_MAP, size, PROT_READ);
	char *bits = abi_map(fd, HSPAN_OFF_BITS, size, PROT_READ | PROT_WRITE);
	unsigned int nr = take_all(fd, 20);

	CHECK(nr == 20);
	for (i = 0; i < size; i += 4096)
		CHECK(!abi_touch(map + i, 0) && !abi_touch(bits + i, 1));
	charged = abi_fdinfo(fd, "charged");
	grown = cgroup_current() - before;
	dprintf(1, "# charged %ld KiB, allocated %ld KiB\n", charged >> 10,
		grown >> 10);
	CHECK(grown <= charged + charged / 8);
	CHECK(grown >= charged / 2);
	(void)arg;
}

static void charge_covers_all(void **state)
{
	long high;
	char text[32];
	int ret;

	(void)state;
	abi_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	if (access(CGROUP "/memory.current", R_OK)) {
		print_message("# no memory cgroups here\n");
		rmdir(CGROUP);
		return;
	}
	high = abi_sysfs("pool/high");
	abi_set_sysfs("pool/high", "0");
	assert_int_equal(abi_write(CGROUP "/cgroup.procs", "0"), 0);
	ret = abi_run_as(ALICE, fill_an_arena, NULL);
	assert_int_equal(abi_write("/sys/fs/cgroup/cgroup.procs", "0"), 0);
	snprintf(text, sizeof(text), "%ld", high);
	abi_set_sysfs("pool/high", text);
	rmdir(CGROUP);
	assert_int_equal(ret, 0);
}

static int baseline(void **state)
{
	abi_baseline(state);
	snprintf(old_limit, sizeof(old_limit), "%ld", abi_sysfs("user_limit"));
	return 0;
}

static int restore_limit(void **state)
{
	(void)state;
	return abi_set_sysfs("user_limit", old_limit);
}

#define TEST(f) cmocka_unit_test_teardown(f, restore_limit)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accounting), TEST(one_limit_for_all_arenas),
		TEST(another_user_is_not_concerned), TEST(bits),
		TEST(loops_end), TEST(creator_pays), TEST(who_is_limited),
		TEST(limit_attribute), TEST(pipes_do_not_help),
		TEST(killed_at_any_time),
		TEST(charge_covers_all),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, baseline, baseline);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pool from outside: blocks are zeroed behind everybody's back, no process
 * sees another's bytes, and a block with a memory error is never seen again.
 *
 * Needs root, and that nobody else uses the module.
 */
#include "abi.h"

#include <fcntl.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define BLOCK		HSPAN_BLOCK_SIZE
#define CORRUPT		"/sys/kernel/debug/hwpoison/corrupt-pfn"
#define CGROUP		"/sys/fs/cgroup/hugespan-pool"
#define TENANTS		4
#define TENANT_SECONDS	6
#define TENANT_BLOCKS	3

/* Seconds that the thread, with the CPU's idle time, has to get ready. */
#define PATIENCE	60

static bool all_zero(const char *p, size_t n)
{
	return !*p && !memcmp(p, p + 1, n - 1);
}

/* Waits until @name is @value; says what it was in the end. */
static long wait_for(const char *name, long value)
{
	int i;

	for (i = 0; i < PATIENCE * 10 && abi_sysfs(name) != value; i++)
		abi_pause_ms(100);
	return abi_sysfs(name);
}

static void set(const char *name, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	assert_int_equal(abi_set_sysfs(name, text), 0);
}

/* A span of @blocks whole blocks, mapped. */
static char *get_blocks(int fd, unsigned int blocks, struct hspan_span *span)
{
	abi_get_all(fd, HSPAN_CLASS_LARGE_NOSCAN, blocks * HSPAN_BLOCK_PAGES,
		    span, 1);
	return abi_map_data(fd, ABI_BLOCKS) + span->page * HSPAN_PAGE_SIZE;
}

/* @p is what get_blocks() gave. */
static void put_blocks(int fd, char *p, const struct hspan_span *span)
{
	munmap(p - span->page * HSPAN_PAGE_SIZE, ABI_BLOCKS * BLOCK);
	assert_int_equal(abi_put(fd, span, 1), 0);
	abi_release(fd);
}

/* Every test begins with an empty pool. */
static int setup(void **state)
{
	set("pool/low", 0);
	set("pool/high", 0);
	set("pool/high", 64);
	return abi_setup(state);
}

static void zeroed_behind_the_back(void **state)
{
	int fd = abi_fd(state);
	struct hspan_span span;
	char *p = get_blocks(fd, 4, &span);
	long cleared;

	memset(p, 0xc3, 4 * BLOCK);
	put_blocks(fd, p, &span);
	assert_int_equal(abi_sysfs("pool/free"), 4);
	assert_int_equal(wait_for("pool/zeroed", 4), 4);
	cleared = abi_sysfs("pool/cleared");
	p = get_blocks(fd, 4, &span);
	assert_true(all_zero(p, 4 * BLOCK));
	assert_int_equal(abi_sysfs("pool/cleared"), cleared);
	assert_int_equal(abi_sysfs("pool/free"), 0);
	put_blocks(fd, p, &span);
}

static void got_ready(void **state)
{
	long filled = abi_sysfs("pool/prefilled"), free;

	(void)state;
	set("pool/low", 3);
	assert_in_range(wait_for("pool/free", 3), 3, 64);
	abi_pause_ms(500);
	free = abi_sysfs("pool/free");	/* three on each node */
	assert_int_equal(free % 3, 0);
	assert_int_equal(abi_sysfs("pool/zeroed"), free);
	assert_int_equal(abi_sysfs("pool/prefilled") - filled, free);
	set("pool/low", 0);
	set("pool/high", 2);
	assert_in_range(abi_sysfs("pool/free"), 2, free / 3 * 2);
}

/* Gets, looks, writes its own byte everywhere, gives back, until the time. */
static int tenant(int byte)
{
	time_t end = time(NULL) + TENANT_SECONDS;
	int fd = abi_arena(ABI_BLOCKS, 0);
	struct hspan_span span;
	char *p;

	while (time(NULL) < end) {
		p = get_blocks(fd, TENANT_BLOCKS, &span);
		if (!all_zero(p, TENANT_BLOCKS * BLOCK))
			return 1;
		memset(p, byte, TENANT_BLOCKS * BLOCK);
		put_blocks(fd, p, &span);
	}
	return 0;
}

/* Neither by way of the thread nor past it. */
static void no_bytes_of_others(void **state)
{
	int i, status, bad = 0;

	(void)state;
	for (i = 0; i < TENANTS; i++)
		if (!fork())
			_exit(tenant(0x10 + i));
	for (i = 0; i < TENANTS; i++) {
		wait(&status);
		bad += status != 0;
	}
	assert_int_equal(bad, 0);
	assert_int_equal(abi_sysfs("blocks_in_use"), 0);
	i = abi_sysfs("pool/free");
	assert_int_equal(wait_for("pool/zeroed", i), i);
}

static uint64_t pfn_of(const void *addr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &entry, sizeof(entry),
			       (uintptr_t)addr / 4096 * sizeof(entry)),
			 sizeof(entry));
	close(fd);
	return entry & ((1ULL << 55) - 1);
}

/*
 * A memory error in the page at @p.  EBUSY and the like: it is marked, but
 * nothing more can be done.  Newer kernels kill who says it of itself.
 */
static void corrupt(char *p)
{
	char text[32];
	pid_t pid;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)pfn_of(p));
	if (!access(CORRUPT, W_OK)) {
		abi_write(CORRUPT, text);
		return;
	}
	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL); /* cmocka would go on with the tests */
		madvise(p, 4096, MADV_HWPOISON);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A page goes bad while its block waits, dirty or being zeroed. */
static void bad_page_in_the_pool(void **state)
{
	long bad = abi_sysfs("pool/poisoned");
	int fd = abi_fd(state), round, i;
	struct hspan_span span;
	uint64_t pfn;
	char *p;

	p = get_blocks(fd, 2, &span);
	memset(p, 0x99, 2 * BLOCK);
	pfn = pfn_of(p + 5 * 4096);
	assert_int_not_equal(pfn, 0);
	corrupt(p + 5 * 4096);	/* in use: its user finds out, we look away */
	put_blocks(fd, p, &span);
	assert_int_equal(wait_for("pool/zeroed", 1), 1);
	assert_int_equal(abi_sysfs("pool/poisoned"), bad + 1);
	for (round = 0; round < 3; round++) {
		p = get_blocks(fd, 8, &span);
		for (i = 0; i < 8 * (int)(BLOCK / 4096); i++) {
			assert_int_equal(p[i * 4096], 0);
			assert_int_not_equal(pfn_of(p + i * 4096), pfn);
		}
		put_blocks(fd, p, &span);
	}
	set("pool/high", 0);
	assert_int_equal(abi_sysfs("pool/poisoned"), bad + 1);
}

/* Free blocks are like a cache to the machine; but not the one being zeroed. */
static void goes_when_asked_for(void **state)
{
	int fd = abi_fd(state), i;
	struct hspan_span span;
	char *p = get_blocks(fd, 4, &span);

	memset(p, 0xc3, 4 * BLOCK);
	put_blocks(fd, p, &span);
	assert_int_equal(abi_sysfs("pool/free"), 4);
	for (i = 0; i < PATIENCE && abi_sysfs("pool/free"); i++) {
		assert_int_equal(abi_write("/proc/sys/vm/drop_caches", "2"), 0);
		abi_pause_ms(10);
	}
	assert_int_equal(abi_sysfs("pool/free"), 0);
	assert_int_equal(wait_for("pressure", 1), 1);
	assert_int_equal(wait_for("pressure", 0), 0);
}

/* Where no memory is to be had, a get says so. */
static void none_to_be_had(void **state)
{
	long failed = abi_sysfs("pool/failed");
	struct hspan_span span;
	pid_t pid;

	abi_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(CGROUP, 0755);
	if (abi_write(CGROUP "/memory.max", "8M")) {
		print_message("# no memory cgroups here\n");
		rmdir(CGROUP);
		return;
	}
	pid = fork();
	if (!pid) {
		int fd = abi_open(abi_fd(state));

		CHECK(!abi_write(CGROUP "/cgroup.procs", "0"));
		CHECK(abi_get(fd, HSPAN_CLASS_LARGE_NOSCAN,
			      8 * HSPAN_BLOCK_PAGES, &span, 1) < 0);
		CHECK(errno == ENOMEM);
		_exit(0);
	}
	assert_int_equal(abi_end(pid), 0);
	rmdir(CGROUP);
	assert_true(abi_sysfs("pool/failed") > failed);
	assert_int_equal(abi_sysfs("blocks_in_use"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(zeroed_behind_the_back), TEST(got_ready),
		TEST(no_bytes_of_others), TEST(bad_page_in_the_pool),
		TEST(goes_when_asked_for), TEST(none_to_be_had),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

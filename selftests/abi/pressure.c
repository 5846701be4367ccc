// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine short of memory: free blocks go without their owner's help, and the
 * owner is told.  Takes nearly all memory; needs root and a machine to itself.
 */
#include "abi.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define BLOCK		HSPAN_BLOCK_SIZE
#define BLOCKS		60
#define LEFT		(BLOCKS / 20)	/* 95 % have to go */
#define HOG_MAX		(8UL << 30)
#define WAKE_MS		60000

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* An arena with BLOCKS free blocks that were written and are mapped. */
static int free_blocks(void)
{
	int fd = abi_arena(BLOCKS, 0);
	char *p = abi_map_data(fd, BLOCKS);
	struct hspan_span span;

	abi_get_all(fd, HSPAN_CLASS_LARGE_NOSCAN, BLOCKS * HSPAN_BLOCK_PAGES,
		    &span, 1);
	memset(p, 0x42, BLOCKS * BLOCK);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_stats(fd).blocks_free, BLOCKS);
	return fd;
}

static int owner(int report)
{
	int fd = free_blocks();
	struct hspan_control *control = abi_map(fd, HSPAN_OFF_CONTROL, 4096,
						PROT_READ);
	struct pollfd poller = { .fd = fd, .events = POLLPRI };
	long long woken;

	if (poll(&poller, 1, 0) || control->pressure)
		return 1;
	if (write(report, "r", 1) != 1)
		return 2;
	if (poll(&poller, 1, WAKE_MS) != 1 || poller.revents != POLLPRI)
		return 3;
	woken = now_ms();
	if (!control->pressure)
		return 4;
	return write(report, &woken, sizeof(woken)) != sizeof(woken);
}

/*
 * Takes memory until hardly a block is in use.  What the shrinker has freed may
 * be on its way through the CPUs' lists of free pages, which a kernel does not
 * count before it calls the OOM killer: we are the one to go then.
 */
static void hog(void)
{
	char *p = mmap(NULL, HOG_MAX, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);
	size_t at, i;

	if (p == MAP_FAILED || write(fd, "1000", 4) != 4)
		_exit(1);
	madvise(p, HOG_MAX, MADV_HUGEPAGE);	/* to be quick */
	for (at = 0; at < HOG_MAX; at += BLOCK) {
		for (i = 0; i < BLOCK; i += 4096)
			p[at + i] = 1;
		if (abi_sysfs("blocks_in_use") <= LEFT)
			_exit(0);
	}
	_exit(2);
}

/* How many blocks are in use when hardly a page is free? */
static long squeeze(void)
{
	pid_t child = fork();
	int status;

	if (!child)
		hog();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : !status);
	return abi_sysfs("blocks_in_use");
}

/* With @stop, the owner does not run until the memory is gone. */
static void squeeze_owner(bool stop)
{
	int report[2], status;
	long long squeezed, woken = 0;
	pid_t child;
	long left;
	char c;

	assert_int_equal(pipe(report), 0);
	child = fork();
	if (!child)
		_exit(owner(report[1]));
	close(report[1]);
	assert_int_equal(read(report[0], &c, 1), 1);
	assert_int_equal(abi_sysfs("blocks_in_use"), BLOCKS);
	if (stop)
		kill(child, SIGSTOP);
	left = squeeze();
	squeezed = now_ms();
	kill(child, SIGCONT);
	waitpid(child, &status, 0);
	assert_in_range(left, 0, LEFT);
	assert_int_equal(status, 0);
	assert_int_equal(read(report[0], &woken, sizeof(woken)), sizeof(woken));
	printf("# woken %lld ms after the squeeze\n", woken - squeezed);
	assert_true(woken - squeezed <= 1000);
	close(report[0]);
}

/* The level falls by itself, and nobody is woken for that. */
static void calm(void)
{
	struct pollfd poller = { .fd = abi_arena(1, 0), .events = POLLPRI };
	int i;

	assert_int_equal(poll(&poller, 1, 0), 0);
	for (i = 0; i < 300 && abi_sysfs("pressure"); i++)
		abi_pause_ms(100);
	assert_int_equal(abi_sysfs("pressure"), 0);
	close(poller.fd);
}

static void owner_does_not_run(void **state)
{
	(void)state;
	squeeze_owner(true);
	calm();
}

static void owner_is_woken(void **state)
{
	(void)state;
	squeeze_owner(false);
	calm();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_does_not_run),
		cmocka_unit_test(owner_is_woken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

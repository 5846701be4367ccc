// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork(): the child is the same client, with the same mappings, until it opens
 * the arena itself; with HSPAN_ARENA_DONTFORK it has no mapping.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "abi.h"

static int create(unsigned int flags)
{
	struct hspan_arena_create args = {
		.size = ABI_BLOCKS * HSPAN_BLOCK_SIZE, .flags = flags,
	};
	int dev = abi_device(), fd = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);

	close(dev);
	assert_true(fd >= 0);
	return fd;
}

static unsigned int client_of(int fd)
{
	struct hspan_arena_info info;

	if (ioctl(fd, HSPAN_IOC_ARENA_INFO, &info))
		_exit(90);
	return info.client;
}

static int exit_code(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* What one has, the other has: mappings, spans, number. */
static void child_is_the_same_client(void **state)
{
	int fd = abi_fd(state);
	char *p = abi_map_data(fd, ABI_BLOCKS);
	unsigned int client = client_of(fd);
	struct hspan_span mine, *its;
	pid_t pid;

	its = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	abi_get_all(fd, CLASS_32, 0, &mine, 1);
	p[mine.page * HSPAN_PAGE_SIZE] = 1;
	pid = fork();
	if (!pid) {
		if (client_of(fd) != client ||
		    p[mine.page * HSPAN_PAGE_SIZE] != 1)
			_exit(1);
		if (abi_put(fd, &mine, 200))	/* the parent's */
			_exit(2);
		if (abi_get(fd, CLASS_32 + 2, 0, its, 1) != 1)
			_exit(3);
		p[its->page * HSPAN_PAGE_SIZE] = 2;
		_exit(0);
	}
	assert_int_equal(exit_code(pid), 0);
	assert_int_equal(abi_stats(fd).clients, 1);
	assert_int_equal(abi_stats(fd).spans_held, 1);
	assert_int_equal(p[its->page * HSPAN_PAGE_SIZE], 2);
	assert_errno(abi_put(fd, &mine, 200), EALREADY);
	assert_int_equal(abi_put(fd, its, 1), 0);	/* the child's */
	munmap(its, 4096);
	munmap(p, ABI_BLOCKS * HSPAN_BLOCK_SIZE);
}

/* From then on each has its own, and neither can put the other's. */
static void child_opens_its_own(void **state)
{
	int fd = abi_fd(state);
	struct hspan_span mine, its;
	pid_t pid;

	abi_get_all(fd, CLASS_32, 0, &mine, 1);
	pid = fork();
	if (!pid) {
		int own = abi_open(fd);

		if (own < 0 || client_of(own) == client_of(fd))
			_exit(1);
		close(fd);
		if (!abi_put(own, &mine, 1) || errno != EPERM)
			_exit(2);
		if (abi_get(own, CLASS_32, 0, &its, 1) != 1)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(exit_code(pid), 0);
	/* Its span became a full one of the arena when it ended. */
	assert_int_equal(abi_stats(fd).clients, 1);
	assert_int_equal(abi_stats(fd).spans, 2);
	assert_int_equal(abi_stats(fd).spans_held, 1);
	assert_int_equal(abi_put(fd, &mine, 1), 0);
}

/* A child that goes on with its parent's spans; it says so by @done. */
static void orphan(int fd, char *p, const struct hspan_span *span, int gone,
		   int done)
{
	char c;

	if (read(gone, &c, 1))	/* until the parent has ended */
		_exit(1);
	c = abi_stats(fd).clients == 1 && abi_stats(fd).spans_held == 1 &&
	    p[span->page * HSPAN_PAGE_SIZE] == 7 && !abi_put(fd, span, 5) &&
	    abi_stats(fd).spans_held == 0;
	if (write(done, &c, 1) != 1)
		_exit(2);
	_exit(0);
}

/* The client ends with the last of those who are it: its spans stay held. */
static void parent_dies_first(void **state)
{
	int gone[2], done[2];
	pid_t pid;
	char c = 0;

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe(gone), 0);
	assert_int_equal(pipe(done), 0);
	pid = fork();
	if (!pid) {
		int fd = create(0);
		char *p = abi_map_data(fd, ABI_BLOCKS);
		struct hspan_span span;

		abi_get_all(fd, CLASS_32, 0, &span, 1);
		p[span.page * HSPAN_PAGE_SIZE] = 7;
		close(done[0]);
		if (!fork()) {
			close(gone[1]);
			orphan(fd, p, &span, gone[0], done[1]);
		}
		raise(SIGKILL);
	}
	close(gone[1]);
	close(done[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(read(done[0], &c, 1), 1);
	assert_int_equal(c, 1);
	assert_true(wait(NULL) > 0);		/* it is ours now */
	close(gone[0]);
	close(done[0]);
}

static void dontfork(void **state)
{
	static const unsigned long long offs[] = {
		HSPAN_OFF_DATA, HSPAN_OFF_CONTROL, HSPAN_OFF_PAGE_MAP,
		HSPAN_OFF_BITS,
	};
	int fd = create(HSPAN_ARENA_DONTFORK);
	struct hspan_arena_info info;
	struct hspan_span span;
	char *p[ARRAY_SIZE(offs)];
	unsigned int i;
	pid_t pid;

	(void)state;
	assert_int_equal(ioctl(fd, HSPAN_IOC_ARENA_INFO, &info), 0);
	assert_int_equal(info.flags, HSPAN_ARENA_DONTFORK);
	abi_get_all(fd, CLASS_32, 0, &span, 1);
	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		p[i] = abi_map(fd, offs[i], offs[i] ? 4096 : HSPAN_BLOCK_SIZE,
			       PROT_READ);
		assert_int_equal(abi_touch(p[i], 0), 0);
	}
	pid = fork();
	if (!pid) {
		for (i = 0; i < ARRAY_SIZE(offs); i++)
			if (abi_touch(p[i], 0) != SIGSEGV)
				_exit(1 + i);
		/* The descriptor is there, as any: it may map for itself. */
		if (client_of(fd) != info.client)
			_exit(10);
		p[0] = mmap(NULL, HSPAN_BLOCK_SIZE, PROT_READ, MAP_SHARED, fd, 0);
		if (p[0] == MAP_FAILED || abi_touch(p[0], 0))
			_exit(11);
		_exit(0);
	}
	assert_int_equal(exit_code(pid), 0);
	assert_int_equal(abi_touch(p[0], 0), 0);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(offs); i++)
		munmap(p[i], offs[i] ? 4096 : HSPAN_BLOCK_SIZE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, abi_setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(child_is_the_same_client), TEST(child_opens_its_own),
		cmocka_unit_test(parent_dies_first), cmocka_unit_test(dontfork),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, abi_baseline, abi_baseline);
}

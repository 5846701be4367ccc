// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that are killed with spans in hand lose nothing.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "abi.h"

#define NR_SPANS	100

/* Take spans, write them all, tell the parent, wait for the end. */
static void victim(int fd, int ready)
{
	struct hspan_span spans[NR_SPANS];
	char *p = abi_map_data(fd, ABI_BLOCKS);
	unsigned int i;

	abi_get_all(fd, CLASS_32, 0, spans, NR_SPANS);
	for (i = 0; i < NR_SPANS; i++)
		memset(p + spans[i].page * HSPAN_PAGE_SIZE, 0x5a,
		       HSPAN_PAGE_SIZE);
	if (write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

static void kill_victim(pid_t pid, int ready)
{
	char c;

	assert_int_equal(read(ready, &c, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready);
}

/* Its arena was its own: all of it goes. */
static void owner_killed(void **state)
{
	long in_use = abi_sysfs("blocks_in_use"), arenas = abi_sysfs("nr_arenas");
	int ready[2], round;
	pid_t pid;

	for (round = 0; round < 2; round++) {
		assert_int_equal(pipe(ready), 0);
		pid = fork();
		if (!pid)
			victim(abi_arena(ABI_BLOCKS, 0), ready[1]);
		close(ready[1]);
		kill_victim(pid, ready[0]);
		assert_int_equal(abi_sysfs("blocks_in_use"), in_use);
		assert_int_equal(abi_sysfs("nr_arenas"), arenas);
	}
	(void)state;
}

/* Sweep everything away and give all blocks back. */
static unsigned int sweep_to_nothing(int fd)
{
	struct hspan_span spans[NR_SPANS];
	unsigned int nr = 0;
	int got, i;

	assert_true(abi_cycle(fd) > 0);
	while ((got = abi_sweep(fd, spans, NR_SPANS)) > 0) {
		for (i = 0; i < got; i++)
			assert_int_equal(abi_put(fd, &spans[i], 256), 0);
		nr += got;
	}
	assert_int_equal(got, 0);
	return nr;
}

/* It shared ours: its spans are ours to sweep, with what is in them. */
static void client_killed(void **state)
{
	int fd = abi_fd(state), ready[2], round;
	struct hspan_arena_stats st;
	pid_t pid;

	for (round = 0; round < 2; round++) {
		assert_int_equal(pipe(ready), 0);
		pid = fork();
		if (!pid)
			victim(abi_open(fd), ready[1]);
		close(ready[1]);
		kill_victim(pid, ready[0]);
		st = abi_stats(fd);
		assert_int_equal(st.clients, 1);
		assert_int_equal(st.spans_held, 0);
		assert_int_equal(st.pages_used, NR_SPANS);
		assert_int_equal(sweep_to_nothing(fd), NR_SPANS);
		st = abi_stats(fd);
		assert_int_equal(st.pages_used, 0);
		assert_int_equal(abi_release(fd), st.blocks_held);
		assert_int_equal(abi_sysfs("blocks_in_use"), 0);
	}
}

/* It used our file, as forked children do: the spans stay with the client. */
static void child_killed(void **state)
{
	int fd = abi_fd(state), ready[2];
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid)
		victim(fd, ready[1]);
	close(ready[1]);
	kill_victim(pid, ready[0]);
	assert_int_equal(abi_stats(fd).clients, 1);
	assert_int_equal(abi_stats(fd).spans_held, NR_SPANS);
}

static int baseline(void **state)
{
	(void)state;
	assert_int_equal(abi_sysfs("nr_arenas"), 0);
	assert_int_equal(abi_sysfs("blocks_in_use"), 0);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, abi_setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_killed), TEST(client_killed),
		TEST(child_killed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, baseline, baseline);
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that are killed with spans in hand lose nothing.
 */
#include <signal.h>
#include <stdbool.h>
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

/* Take what is to be swept, all or some, put a few of them, and wait. */
static void sweeper(int fd, int ready, unsigned int nr, unsigned int nr_put)
{
	struct hspan_span spans[NR_SPANS];
	unsigned int i;

	CHECK(abi_sweep(fd, spans, nr) == (int)nr);
	for (i = 0; i < nr_put; i++)
		CHECK(!abi_put(fd, &(struct hspan_span){
				.page = spans[i].page,
				.sweepgen = spans[i].sweepgen + 1 }, 7));
	if (write(ready, "", 1) == 1)
		pause();
	_exit(1);
}

/* Sweep what there is: @nr different spans, last swept in @gen. */
static void sweep_rest(int fd, unsigned int nr, unsigned int gen)
{
	struct hspan_span spans[NR_SPANS + 1];
	bool seen[NR_SPANS] = {};
	unsigned int i;

	assert_int_equal(abi_sweep(fd, spans, NR_SPANS + 1), nr);
	for (i = 0; i < nr; i++) {
		assert_in_range(spans[i].page, 0, NR_SPANS - 1);
		assert_false(seen[spans[i].page]);
		seen[spans[i].page] = true;
		assert_int_equal(spans[i].sweepgen++, gen);
		assert_int_equal(abi_put(fd, &spans[i], 7), 0);
	}
	assert_int_equal(abi_stats(fd).nr_unswept, 0);
}

/* It has taken @nr of the spans to sweep and put @nr_put of them. */
static void kill_sweeper(unsigned int nr, unsigned int nr_put)
{
	int fd = abi_arena(ABI_BLOCKS, 0), ready[2];
	struct hspan_span spans[NR_SPANS];
	unsigned int i;
	pid_t pid;

	abi_get_all(fd, CLASS_32, 0, spans, NR_SPANS);
	for (i = 0; i < NR_SPANS; i++)
		assert_int_equal(abi_put(fd, &spans[i], 5), 0);
	assert_int_equal(abi_cycle(fd), 2);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid)
		sweeper(abi_open(fd), ready[1], nr, nr_put);
	close(ready[1]);
	kill_victim(pid, ready[0]);
	assert_int_equal(abi_stats(fd).spans_held, 0);
	assert_int_equal(abi_stats(fd).nr_unswept, NR_SPANS - nr_put);
	if (nr_put < NR_SPANS)
		assert_errno(abi_cycle(fd), EBUSY);
	sweep_rest(fd, NR_SPANS - nr_put, 1);
	assert_int_equal(abi_cycle(fd), 3);
	sweep_rest(fd, NR_SPANS, 2);
	close(fd);
}

/* In the middle of a sweep: what it has not put is unswept still, once. */
static void sweeper_killed(void **state)
{
	(void)state;
	kill_sweeper(NR_SPANS, 0);
	kill_sweeper(NR_SPANS, 40);
	kill_sweeper(30, 30);
	kill_sweeper(1, 0);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, abi_setup, abi_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner_killed), TEST(client_killed),
		TEST(child_killed), cmocka_unit_test(sweeper_killed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, abi_baseline, abi_baseline);
}

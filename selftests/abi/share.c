// SPDX-License-Identifier: GPL-2.0-only
/*
 * One arena in several processes: the file passed over a UNIX socket.
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "abi.h"

/* Become a client of the arena that comes, and leave a word in a span. */
static void receiver(int sock)
{
	int passed = abi_receive_fd(sock), fd = abi_open(passed);
	struct hspan_span span;
	char *p;

	close(passed);
	if (fd < 0 || abi_get(fd, CLASS_32, 0, &span, 1) != 1)
		_exit(1);
	p = abi_map_data(fd, ABI_BLOCKS);
	strcpy(p + span.page * HSPAN_PAGE_SIZE, "hello");
	if (abi_put(fd, &span, 255))
		_exit(2);
	_exit(write(sock, &span.page, 4) == 4 ? 0 : 3);
}

static void passed_file(void **state)
{
	int fd = abi_fd(state), socks[2], status;
	char *p = abi_map_data(fd, ABI_BLOCKS);
	__u32 page;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks), 0);
	pid = fork();
	if (!pid) {
		close(fd);
		receiver(socks[1]);
	}
	abi_send_fd(socks[0], fd);
	assert_int_equal(read(socks[0], &page, 4), 4);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_string_equal(p + page * HSPAN_PAGE_SIZE, "hello");
	assert_int_equal(abi_stats(fd).clients, 1);
	assert_int_equal(abi_stats(fd).spans_held, 0);
	munmap(p, ABI_BLOCKS * HSPAN_BLOCK_SIZE);
}

/* The receiver keeps the arena when its maker is gone. */
static void outlives_its_maker(void **state)
{
	int socks[2], fd;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks), 0);
	pid = fork();
	if (!pid) {
		fd = abi_arena(4, 0);
		abi_send_fd(socks[0], fd);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	fd = abi_receive_fd(socks[1]);
	assert_true(fd >= 0);
	assert_int_equal(abi_stats(fd).clients, 1);
	close(fd);
	assert_int_equal(abi_sysfs("nr_arenas"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(passed_file, abi_setup,
						abi_teardown),
		cmocka_unit_test(outlives_its_maker),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

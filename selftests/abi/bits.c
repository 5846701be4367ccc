// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bits are touched while their blocks come and go: by calls, and by the shrinker,
 * which takes a block only if it need not wait for one of its pages of bits.
 * In the end each page of bits is paid for or gone.  bits [SECONDS]
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "abi.h"

#define NR_TOUCHERS	3
#define BLOCK_BITS	(HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE)
#define BITS_SIZE	(HSPAN_BITS_PLANES * ABI_BLOCKS * BLOCK_BITS)
#define NR_PAGES	(BITS_SIZE / 4096)

/**
 * struct common - what all processes see
 * @stop: no block shall come any more
 * @still: and no page of bits be touched
 * @resident: pages of bits that somebody has mapped then
 */
struct common {
	int stop;
	int still;
	unsigned char resident[NR_PAGES];
};

static struct common *common;
static unsigned int seconds = 5;

static bool is_set(const int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

/* Once all blocks have been there, nothing but blocks and bits comes or goes. */
static void use_all_blocks(int fd)
{
	struct hspan_span span;

	abi_get_all(fd, HSPAN_CLASS_LARGE_NOSCAN,
		    ABI_BLOCKS * HSPAN_BLOCK_PAGES, &span, 1);
	assert_int_equal(abi_put(fd, &span, 1), 0);
	assert_int_equal(abi_release(fd), ABI_BLOCKS);
}

/* Blocks become free, now and then by themselves. */
static void come_and_go(int arena)
{
	unsigned int seed = 1;
	struct hspan_span span;
	int fd = abi_open(arena);

	CHECK(fd >= 0);
	while (!is_set(&common->stop)) {
		if (abi_get(fd, HSPAN_CLASS_LARGE_NOSCAN, HSPAN_BLOCK_PAGES *
			    (1 + rand_r(&seed) % ABI_BLOCKS), &span, 1) == 1)
			CHECK(!abi_put(fd, &span, 1));
		if (rand_r(&seed) % 4 == 0)
			abi_release(fd);
		usleep(rand_r(&seed) % 2000);
	}
	_exit(0);
}

/* A byte of one's own in any page: it is there, or gone with its block. */
static void touch(int arena, unsigned int nr)
{
	unsigned char *bits = abi_map(arena, HSPAN_OFF_BITS, BITS_SIZE,
				      PROT_READ | PROT_WRITE);
	unsigned char vec[NR_PAGES], found;
	unsigned int seed = nr + 100, i;

	while (!is_set(&common->still)) {
		unsigned char *p = bits + rand_r(&seed) % NR_PAGES * 4096 + nr;

		*(volatile unsigned char *)p = nr + 1;
		found = *(volatile unsigned char *)p;
		CHECK(!found || found == nr + 1);
	}
	CHECK(!mincore(bits, BITS_SIZE, vec));
	for (i = 0; i < NR_PAGES; i++)
		if (vec[i] & 1)
			common->resident[i] = 1;
	_exit(0);
}

/* The shrinker, from here, as often as it can be asked. */
static void shrink(void)
{
	time_t end = time(NULL) + seconds;
	FILE *f = fopen("/proc/sys/vm/drop_caches", "w");

	assert_non_null(f);
	while (time(NULL) < end) {
		fputs("2", f);
		fflush(f);
		rewind(f);
	}
	fclose(f);
}

static void each_page_is_paid_for(void **state)
{
	long reclaimed = abi_sysfs("blocks_reclaimed"), charged;
	pid_t pids[NR_TOUCHERS + 1];
	int fd = abi_fd(state), status;
	unsigned int pages = 0, i;

	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(common, MAP_FAILED);
	use_all_blocks(fd);
	charged = abi_fdinfo(fd, "charged");
	for (i = 0; i <= NR_TOUCHERS; i++) {
		pids[i] = fork();
		if (!pids[i] && i < NR_TOUCHERS)
			touch(fd, i);
		if (!pids[i])
			come_and_go(fd);
	}
	shrink();
	common->stop = 1;
	waitpid(pids[NR_TOUCHERS], &status, 0);
	assert_int_equal(status, 0);
	abi_release(fd);
	usleep(100000);
	common->still = 1;
	for (i = 0; i < NR_TOUCHERS; i++) {
		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	for (i = 0; i < NR_PAGES; i++)
		pages += common->resident[i];
	print_message("# %lu blocks reclaimed, %llu got; %u pages of bits are left\n",
		      abi_sysfs("blocks_reclaimed") - reclaimed,
		      abi_stats(fd).blocks_grown, pages);
	assert_in_range(abi_sysfs("blocks_reclaimed") - reclaimed, 1, 1L << 40);
	assert_int_equal(abi_stats(fd).blocks_held, 0);
	assert_int_equal(abi_fdinfo(fd, "charged") - charged, pages * 4096L);
	munmap(common, sizeof(*common));
}

static int all_uncharged(void **state)
{
	int ret = abi_teardown(state);

	assert_int_equal(abi_sysfs("charged"), 0);
	return ret;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_page_is_paid_for, abi_setup,
						all_uncharged),
	};

	if (argc > 1)
		seconds = atoi(argv[1]);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

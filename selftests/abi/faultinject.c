// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation and every user copy an ioctl makes fails once, each in its
 * turn: the call says so, and nothing is lost.  Needs a kernel with fault
 * injection; skips otherwise.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

#include "fault.h"

#define NTH_MAX		400
#define PAGES_MAX	4096
#define FAIL_PAGES	FAULT_DEBUG "fail_page_alloc/"

/* Let the @nth thing that can fail in our next system calls do so. */
static void set_nth(unsigned int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nth);
	assert_int_equal(abi_write("/proc/thread-self/fail-nth", text), 0);
}

/* Whether it has; disarms.  What is left may hit our own read or write. */
static int has_failed(int fail_nth)
{
	char text[16] = {};
	ssize_t len = pread(fail_nth, text, sizeof(text) - 1, 0);

	while (pwrite(fail_nth, "0", 1, 0) != 1)
		continue;
	return len > 0 && text[0] == '0';
}

/* One call with one failure in it; whether there was one to be had. */
static int try_nth(const struct fault_case *c, unsigned int nth)
{
	struct fault_ctx ctx;
	int ret, err, failed, fail_nth;

	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	assert_true(fail_nth >= 0);
	fault_begin(c, &ctx);
	set_nth(nth);
	ret = c->run(&ctx);
	err = errno;
	failed = has_failed(fail_nth);
	close(fail_nth);
	if (ret)
		assert_true(failed && fault_is_told(err));
	fault_end(&ctx);
	return failed;
}

/* Let us take @pages pages from the system and no more; -1 = as many as ever. */
static void set_pages(int pages)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pages);
	if (pages >= 0)
		assert_int_equal(abi_write(FAIL_PAGES "space", text), 0);
	assert_int_equal(abi_write(FAIL_PAGES "probability",
				     pages < 0 ? "0" : "100"), 0);
}

/* What falls back to single pages if it cannot have several fails only so. */
static int try_pages(const struct fault_case *c, int pages)
{
	int make_fail = open("/proc/self/make-it-fail", O_WRONLY), ret, err;
	struct fault_ctx ctx;

	assert_true(make_fail >= 0);
	fault_begin(c, &ctx);
	set_pages(pages);
	assert_int_equal(pwrite(make_fail, "1", 1, 0), 1);
	ret = c->run(&ctx);
	err = errno;
	assert_int_equal(pwrite(make_fail, "0", 1, 0), 1);
	close(make_fail);
	set_pages(-1);
	if (ret)
		assert_true(fault_is_told(err));
	fault_end(&ctx);
	return ret;
}

static void each_failure(void **state)
{
	const struct fault_case *c = *state;
	unsigned int nth;
	int pages = 0;

	for (nth = 1; nth < NTH_MAX; nth++)
		if (!try_nth(c, nth))
			break;
	while (c->flags & FAULT_STARVE && pages < PAGES_MAX &&
	       try_pages(c, pages))
		pages += pages < 32 ? 1 : pages / 4;
	print_message("# %s: %u failures injected, enough with %d pages\n",
		      c->name, nth - 1, pages);
	assert_in_range(nth, 2, NTH_MAX - 1);
	assert_in_range(pages, 0, PAGES_MAX - 1);
}

int main(void)
{
	struct CMUnitTest tests[fault_nr_cases];
	unsigned int i, nr = 0;

	if (fault_arm_kernel()) {
		printf("1..0 # SKIP kernel without fault injection\n");
		return 0;
	}
	fault_set("task-filter", "Y");
	for (i = 0; i < fault_nr_cases; i++)
		if (!(fault_cases[i].flags & FAULT_BY_SITE))
			tests[nr++] = (struct CMUnitTest){
				.name = fault_cases[i].name,
				.test_func = each_failure,
				.initial_state = (void *)&fault_cases[i],
			};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("faultinject", tests, nr, NULL, NULL);
}

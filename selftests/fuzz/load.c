// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading the module with one allocation that fails, each in its turn: it says
 * so, and leaves nothing behind.  load MODULE.ko
 *
 * The kernel's loader comes first and allocates for itself; the last failures
 * before a load succeeds are the module's own.  Skips without fault injection.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEBUG		"/sys/kernel/debug/"
#define NTH_MAX		4096
#define LAST		160	/* failures that are tried one by one */

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) >= 0;
	close(fd);
	return ok;
}

static void give_up(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* True if it loads although the @nth failure was asked for: there is none. */
static bool loads(const char *module, unsigned int nth)
{
	int nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int fd = open(module, O_RDONLY | O_CLOEXEC), ret, err;
	char text[16];

	if (nth_fd < 0 || fd < 0)
		give_up(module);
	snprintf(text, sizeof(text), "%u", nth);
	if (write(nth_fd, text, strlen(text)) < 0)
		give_up("fail-nth");
	ret = syscall(SYS_finit_module, fd, "", 0);
	err = errno;
	while (pwrite(nth_fd, "0", 1, 0) != 1)
		continue;
	close(nth_fd);
	close(fd);
	if (!ret && syscall(SYS_delete_module, "hugespan", O_NONBLOCK))
		give_up("delete_module");
	if (ret && err != ENOMEM && err != EINVAL && err != EFAULT &&
	    err != EAGAIN && err != ENOENT && err != EEXIST)
		printf("# failure %u: %s\n", nth, strerror(err));
	return !ret;
}

/* The first that is too many; some failures before it do not matter, too. */
static unsigned int count_failures(const char *module)
{
	char text[16] = {};
	int nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int fd = open(module, O_RDONLY | O_CLOEXEC);

	if (nth_fd < 0 || fd < 0 || write(nth_fd, "1000000", 7) != 7)
		give_up("fail-nth");
	if (syscall(SYS_finit_module, fd, "", 0))
		give_up("finit_module");
	if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0 ||
	    pwrite(nth_fd, "0", 1, 0) != 1)
		give_up("fail-nth");
	close(fd);
	close(nth_fd);
	if (syscall(SYS_delete_module, "hugespan", O_NONBLOCK))
		give_up("delete_module");
	return 1000000 - atoi(text);
}

int main(int argc, char **argv)
{
	static const char * const kinds[] = { "failslab", "fail_page_alloc" };
	unsigned int nr, nth, i, failed = 0, loaded = 0;
	char path[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2)
		return 2;
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), DEBUG "%s/verbose", kinds[i]);
		if (!put(path, getenv("HUGESPAN_VERBOSE_FAULTS") ? "2" : "0")) {
			printf("1..0 # SKIP kernel without fault injection\n");
			return 0;
		}
		snprintf(path, sizeof(path), DEBUG "%s/ignore-gfp-wait", kinds[i]);
		put(path, "N");
		snprintf(path, sizeof(path), DEBUG "%s/min-order", kinds[i]);
		put(path, "0");
	}
	printf("1..1\n");
	nr = count_failures(argv[1]);
	for (nth = nr > LAST ? nr - LAST : 1; nth <= nr + 1; nth++) {
		if (loads(argv[1], nth))
			loaded++;
		else
			failed++;
	}
	printf("# %u things can fail, of the last %u %u made loading fail\n",
	       nr, LAST, failed);
	printf("%s 1 - a module that cannot load leaves nothing behind\n",
	       failed && loaded ? "ok" : "not ok");
	return !(failed && loaded);
}

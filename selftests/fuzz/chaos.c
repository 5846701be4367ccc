// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only root can do to the machine while others fuzz: CPUs come and go, the
 * module's tunables change, memory gets short.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include "fuzz.h"

#define MIB		(1UL << 20)
#define LEAVE_KB	(48 * 1024)	/* where a squeeze ends */
#define LOW_MAX		8		/* blocks that wait, at most */
#define HIGH_MAX	32
#define USER_MAX	100	/* blocks, of all who are not root */

static struct worker me;

static long available_kb(void)
{
	char line[128];
	long kb = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

static void cpu_goes(struct worker *w)
{
	long nr = sysconf(_SC_NPROCESSORS_CONF);
	char path[64];

	if (nr < 2)
		return;
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online",
		 (int)(1 + fuzz_below(w, nr - 1)));
	fuzz_write(path, "0");
	fuzz_pause_ms(fuzz_below(w, 200));
	fuzz_write(path, "1");
}

static void write_attribute(const char *path)
{
	struct worker *w = &me;
	char text[32];

	if (strstr(path, "/high"))
		snprintf(text, sizeof(text), "%d", (int)fuzz_below(w, HIGH_MAX));
	else if (strstr(path, "/user_limit") && !fuzz_chance(w, 3))
		snprintf(text, sizeof(text), "%d", (int)fuzz_below(w, USER_MAX));
	else if (strstr(path, "/low"))
		snprintf(text, sizeof(text), "%d", (int)fuzz_below(w, LOW_MAX));
	else
		snprintf(text, sizeof(text), "%d", (int)fuzz_below(w, 12));
	if (fuzz_chance(w, 6))
		snprintf(text, sizeof(text), "%s",
			 fuzz_chance(w, 2) ? "-1" : "no number");
	fuzz_write(path, text);
}

/* Each attribute of the device, whatever there is. */
static int visit(const char *path, const struct stat *st, int type,
		 struct FTW *ftw)
{
	char text[4096];
	int fd;

	(void)ftw;
	if (type != FTW_F || strstr(path, "/power/") || strstr(path, "uevent"))
		return 0;
	if ((st->st_mode & 0200) && fuzz_chance(&me, 4))
		write_attribute(path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text)) < 0)
		text[0] = 0;
	if (fd >= 0)
		close(fd);
	return 0;
}

/* Take memory until there is hardly any, then let go. */
static void squeeze(struct worker *w)
{
	size_t size = 4UL << 30, at;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return;
	for (at = 0; at < size; at += SYS_PAGE) {
		if (at % (8 * MIB) == 0 && available_kb() < LEAVE_KB)
			break;
		p[at] = 1;
	}
	fuzz_pause_ms(fuzz_below(w, 500));
	munmap(p, size);
}

static void huge_pages(struct worker *w)
{
	static const char * const modes[] = { "always", "madvise", "never" };

	fuzz_write("/sys/kernel/mm/transparent_hugepage/enabled",
		   modes[fuzz_below(w, ARRAY_SIZE(modes))]);
}

void chaos_main(uint64_t seed)
{
	struct worker *w = &me;

	w->rng = seed;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fuzz_write("/proc/self/oom_score_adj", "1000");
	for (;;) {
		switch (fuzz_below(w, 16)) {
		case 0:
		case 1:
			cpu_goes(w);
			break;
		case 2:
			squeeze(w);
			break;
		case 3:
		case 4:
		case 5:
			fuzz_write("/proc/sys/vm/drop_caches", "2");
			break;
		case 6:
			fuzz_write("/proc/sys/vm/compact_memory", "1");
			break;
		case 7:
			huge_pages(w);
			break;
		default:
			nftw(SYSFS, visit, 16, FTW_PHYS);
		}
		fuzz_pause_ms(20 + fuzz_below(w, 400));
	}
}

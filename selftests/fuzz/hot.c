// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many calls on one arena from several processes, and as little else as can be,
 * for a checker of data races to find two of them at once.  hot [SECONDS]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/hugespan.h>

#define NR_PROCS	6
#define BLOCKS		16
#define BATCH		40	/* more than the module keeps on its stack */
#define CLASSES		3
#define SYSFS		"/sys/devices/virtual/misc/hugespan/"

static unsigned int seed;

static unsigned int below(unsigned int n)
{
	return rand_r(&seed) % n;
}

static unsigned int cycle(int fd)
{
	struct hspan_arena_stats st;

	return ioctl(fd, HSPAN_IOC_STATS, &st) ? 0 : st.sweepgen;
}

/* Back they go: full, partial or free, and as old as they may be. */
static void put_all(int fd, const struct hspan_span *spans, unsigned int nr)
{
	struct hspan_put puts[BATCH];
	struct hspan_span_put args = { .puts = (unsigned long)puts, .nr = nr };
	unsigned int now = cycle(fd), i;

	for (i = 0; i < nr; i++)
		puts[i] = (struct hspan_put){
			.page = spans[i].page,
			.nfree = below(3) ? below(3) : spans[i].nfree,
			.sweepgen = now,
		};
	ioctl(fd, HSPAN_IOC_SPAN_PUT, &args);
}

/* One takes a way of its own. */
static void get_some(int fd)
{
	struct hspan_span spans[BATCH];
	bool large = !below(6);
	struct hspan_span_get args = {
		.spans = (unsigned long)spans,
		.nr = below(2) ? 1 : 1 + below(BATCH),
		.span_class = large ? HSPAN_CLASS_LARGE_SCAN :
				      HSPAN_SPAN_CLASS(4 + below(CLASSES), 1),
		.npages = large ? 1 + below(HSPAN_BLOCK_PAGES * 2) : 0,
	};

	if (!ioctl(fd, HSPAN_IOC_SPAN_GET, &args))
		put_all(fd, spans, args.nr);
}

static void sweep_some(int fd)
{
	struct hspan_span spans[BATCH];
	struct hspan_sweep_next args = {
		.spans = (unsigned long)spans,
		.nr = BATCH,
	};
	struct hspan_cycle next = {};

	if (!ioctl(fd, HSPAN_IOC_SWEEP_NEXT, &args) && args.nr)
		put_all(fd, spans, args.nr);
	else
		ioctl(fd, HSPAN_IOC_CYCLE, &next);
}

static void touch(int fd)
{
	char *p = mmap(NULL, BLOCKS * HSPAN_BLOCK_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, fd, 0);

	if (p != MAP_FAILED)
		munmap(p, BLOCKS * HSPAN_BLOCK_SIZE);
}

static void look(void)
{
	static const char * const names[] = {
		"nr_arenas", "blocks_in_use", "pool/free", "pool/zeroed",
	};
	char path[128], text[32];
	int fd;

	snprintf(path, sizeof(path), SYSFS "%s", names[below(4)]);
	fd = open(path, O_RDONLY);
	if (fd >= 0 && read(fd, text, sizeof(text)) < 0)
		text[0] = 0;
	close(fd);
}

/* Another arena, and another client. */
static void come_and_go(int dev, int fd)
{
	struct hspan_arena_create create = { .size = HSPAN_BLOCK_SIZE };
	struct hspan_arena_open open = {};

	close(ioctl(dev, HSPAN_IOC_ARENA_CREATE, &create));
	close(ioctl(fd, HSPAN_IOC_ARENA_OPEN, &open));
}

static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	if (fd >= 0 && write(fd, "2", 1) < 0)
		perror("drop_caches");
	close(fd);
}

static void process(int dev, int arena, unsigned int nr)
{
	struct hspan_release release = { .max = 2 };
	struct hspan_arena_open open = {};
	int fd = ioctl(arena, HSPAN_IOC_ARENA_OPEN, &open);
	unsigned int what;

	seed = nr + 1;
	while (fd >= 0) {
		what = below(nr ? 100 : 101);
		if (what < 70)
			get_some(fd);
		else if (what < 88)
			sweep_some(fd);
		else if (what < 92)
			ioctl(fd, HSPAN_IOC_RELEASE, &release);
		else if (what < 94)
			touch(fd);
		else if (what < 97)
			look();
		else if (what < 100)
			come_and_go(dev, fd);
		else
			drop_caches();
	}
	exit(1);
}

int main(int argc, char **argv)
{
	struct hspan_arena_create args = {
		.size = BLOCKS * HSPAN_BLOCK_SIZE,
		.limit = BLOCKS - 2,
	};
	int dev = open("/dev/hugespan", O_RDWR), arena, status;
	struct hspan_arena_stats st = {};
	pid_t pids[NR_PROCS];
	unsigned int i;

	arena = ioctl(dev, HSPAN_IOC_ARENA_CREATE, &args);
	if (arena < 0) {
		perror("hot");
		return 1;
	}
	for (i = 0; i < NR_PROCS; i++) {
		pids[i] = fork();
		if (!pids[i])
			process(dev, arena, i);
	}
	sleep(argc > 1 ? atoi(argv[1]) : 60);
	for (i = 0; i < NR_PROCS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
	}
	ioctl(arena, HSPAN_IOC_STATS, &st);
	printf("# gets %llu, from caches %llu, puts %llu, cycles %u, blocks grown %llu, released %llu\n",
	       st.gets, st.cache_hits, st.puts, st.sweepgen, st.blocks_grown,
	       st.blocks_released);
	return 0;
}

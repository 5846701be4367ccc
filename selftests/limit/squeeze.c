// SPDX-License-Identifier: MIT
/*
 * An idle program on a machine that runs short of memory: its garbage goes
 * back, without its doing anything.  Takes nearly all memory; needs root and a
 * machine to itself.
 *
 *	squeeze [PROCS]
 *
 * PROCS: cgroup.procs of a cgroup with a low memory.high.  Who takes the memory
 * then stalls there, as the embedded backend is told of stalls only.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hugespan.h>

#define MIB (1ul << 20)
#define LIVE 24
#define GARBAGE 120 /* beside it, in blocks of its own */
#define HOG_MAX (8ul << 30)
#define PATIENCE 600 /* tenths of a second */
#define STALLED (8 * MIB)

static int nr, bad;
static void *live[LIVE], *garbage[GARBAGE];

static void check(bool good, const char *what)
{
	nr++;
	bad += !good;
	printf("%s %d - %s\n", good ? "ok" : "not ok", nr, what);
	fflush(stdout);
}

static void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t))
		;
}

static struct hspan_stats stats(void)
{
	struct hspan_stats st = { .struct_size = sizeof(st) };

	if (hspan_stats_read(&st))
		abort();
	return st;
}

/* A figure of /proc/meminfo, in KiB. */
static unsigned long meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "r");
	unsigned long value = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = strtoul(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return value;
}

/* The level that the module shows to all. */
static int pressure(void)
{
	FILE *f = fopen("/sys/devices/virtual/misc/hugespan/pressure", "r");
	int level = f ? fgetc(f) - '0' : 0;

	if (f)
		fclose(f);
	return level;
}

/* Touch memory over and over in the cgroup, which makes that slow. */
static void stall(const char *procs)
{
	int fd = open(procs, O_WRONLY);
	char *p = mmap(NULL, STALLED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || write(fd, "0", 1) != 1 || p == MAP_FAILED)
		_exit(1);
	for (;;) {
		for (size_t at = 0; at < STALLED; at += 4096)
			p[at] = 1;
		madvise(p, STALLED, MADV_DONTNEED);
	}
}

/*
 * Takes whatever becomes free, until it is killed: quickly while there is
 * plenty, slowly then, and nothing while the heap has been asked for all.
 */
static void hog(const char *procs)
{
	char *p = mmap(NULL, HOG_MAX, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned long little = meminfo("MemTotal:") / 32;
	size_t at = 0, step;

	if (p == MAP_FAILED)
		_exit(1);
	while (at < HOG_MAX) {
		step = meminfo("MemAvailable:") > little ? MIB : MIB / 16;
		if (step < MIB)
			pause_ms(10);
		if (step < MIB && procs)
			stall(procs);
		if (pressure() > 1)
			continue;
		memset(p + at, 1, step);
		at += step;
	}
	_exit(1);
}

static void fill(void **slots, int n)
{
	for (int i = 0; i < n; i++) {
		hspan_store(&slots[i], hspan_alloc_noscan(2 * MIB));
		if (!slots[i])
			abort();
		memset(slots[i], i, 2 * MIB);
	}
}

static bool intact(void)
{
	for (int i = 0; i < LIVE; i++)
		for (size_t at = 0; at < 2 * MIB; at += 511)
			if (((unsigned char *)live[i])[at] != (unsigned char)i)
				return false;
	return true;
}

/* Tenths of a second until the heap holds less than @mib MiB, or PATIENCE. */
static int wait_below(unsigned long mib)
{
	int tenths = 0;

	hspan_thread_park();
	while (tenths < PATIENCE && stats().heap_sys > mib * MIB) {
		pause_ms(100);
		tenths++;
	}
	hspan_thread_unpark();
	return tenths;
}

static void be_squeezed(const char *procs)
{
	uint64_t goal = stats().heap_goal, collections = stats().num_gc;
	pid_t child = fork();
	int tenths;

	if (!child)
		hog(procs);
	tenths = wait_below((LIVE + 16) * 2);
	printf("# %d.%d s until %lu MiB were held; told %lu times\n", tenths / 10, tenths % 10,
	       (unsigned long)(stats().heap_sys / MIB), (unsigned long)stats().pressed);
	check(tenths < PATIENCE, "what is garbage goes back to the machine");
	check(stats().num_gc > collections, "after a collection");
	check(stats().pressure > 0 && stats().pressed > 0, "because the machine asked");
	check(stats().heap_goal < goal, "the goal is lower meanwhile");
	check(intact(), "what lives is as it was");
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void be_calm(void)
{
	for (int i = 0; i < PATIENCE && stats().pressure; i++)
		pause_ms(100);
	check(stats().pressure == 0, "the pressure falls by itself");
	fill(garbage, 16);
	check(intact(), "and the heap grows again");
}

int main(int argc, char **argv)
{
	struct hspan_options o = HSPAN_OPTIONS_INIT;

	printf("1..8\n");
	o.gc_percent = 1000;
	check(hspan_init(&o) == 0, "a heap");
	if (bad)
		return 1;
	hspan_root_add(live, sizeof(live));
	hspan_root_add(garbage, sizeof(garbage));
	fill(live, LIVE);
	hspan_gc(); /* the goal is eleven times that */
	fill(garbage, GARBAGE);
	hspan_clear(garbage, sizeof(garbage));
	be_squeezed(argc > 1 ? argv[1] : NULL);
	be_calm();
	return bad != 0;
}

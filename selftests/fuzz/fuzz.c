// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile input for /dev/hugespan: several processes that do what they should
 * not, in any order, while the machine changes under them.
 *
 *   fuzz [--seconds N] [--processes N] [--seed N] [--poison N] [--calm]
 *
 * The supervisor keeps that many processes fuzzing, ends them all, and checks
 * that nothing is left of what they did.  --poison is how many pages may get a
 * memory error, --calm leaves the machine alone.  A seed repeats each process's
 * choices, not how they interleave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define CGROUP		"/sys/fs/cgroup/fuzz"
#define CGROUP_MAX	"96M"
#define END_SECONDS	60	/* for the killed to be gone */
#define CALM_SECONDS	30	/* for the module to be at rest */
#define CHANCE		"10"	/* percent that fail of those armed by chance */

struct fuzz_shared *shared;
unsigned int nr_procs = 6;
unsigned long max_poisonings = 8;

static unsigned int seconds = 60;
static uint64_t seed;
static bool calm;

static pid_t chaos;
static unsigned int started;
static unsigned int nr_tests;
static unsigned int nr_failed;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000UL + t.tv_nsec;
}

void fuzz_pause_ms(unsigned int ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

bool fuzz_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) >= 0;
	close(fd);
	return ok;
}

static long get(const char *path, const char *format)
{
	char line[256];
	long value = -1;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, format, &value) == 1)
			break;
	if (f)
		fclose(f);
	return value;
}

static long attribute(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), SYSFS "/%s", name);
	return get(path, "%ld");
}

static long free_kb(void)
{
	fuzz_write("/proc/sys/vm/drop_caches", "3");
	return get("/proc/meminfo", "MemFree: %ld");
}

static void test(bool ok, const char *name)
{
	printf("%s %u - %s\n", ok ? "ok" : "not ok", ++nr_tests, name);
	nr_failed += !ok;
}

/* Who asks for it, by fail-nth or make-it-fail, gets failures of every kind. */
static void arm_kernel(void)
{
	static const char * const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	static const char * const settings[][2] = {
		{ "verbose", "0" }, { "ignore-gfp-wait", "N" },
		{ "ignore-gfp-highmem", "N" }, { "min-order", "0" },
		{ "task-filter", "Y" }, { "times", "-1" },
		{ "probability", CHANCE },
	};
	bool armed = false;
	char path[128];
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (j = 0; j < ARRAY_SIZE(settings); j++) {
			snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s",
				 kinds[i], settings[j][0]);
			armed |= fuzz_write(path, settings[j][1]);
		}
	}
	printf("# fault injection: %s\n", armed ? "on" : "this kernel has none");
}

static void make_cgroup(void)
{
	fuzz_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (!mkdir(CGROUP, 0755) || errno == EEXIST)
		fuzz_write(CGROUP "/memory.max", CGROUP_MAX);
}

static void start_worker(unsigned int nr)
{
	uint64_t mine = seed + 1000003UL * ++started;
	pid_t pid = fork();

	if (!pid) {
		fuzz_write("/proc/self/oom_score_adj", "500");
		if (nr % 3 == 1)
			fuzz_write(CGROUP "/cgroup.procs", "0");
		worker_main(nr, mine, 0);
	}
	atomic_store(&shared->pids[nr], pid > 0 ? pid : 0);
}

static void start_chaos(void)
{
	if (calm)
		return;
	chaos = fork();
	if (!chaos)
		chaos_main(seed ^ ++started);
}

/* A worker that did not get killed by somebody has hit what it should not. */
static void judge_end(int status)
{
	char why[64];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return;
	/* It has a handler: what failed is putting the handler's frame down. */
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV)
		return;
	snprintf(why, sizeof(why), "a process ended with status %#x", status);
	fuzz_bad(why);
}

static void reap(bool again)
{
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == chaos && again)
			start_chaos();
		for (i = 0; i < nr_procs; i++) {
			if (atomic_load(&shared->pids[i]) != pid)
				continue;
			judge_end(status);
			atomic_store(&shared->pids[i], 0);
			if (again)
				start_worker(i);
		}
	}
}

/* A worker whose fork failed is tried for again. */
static void run(uint64_t deadline)
{
	unsigned int i;

	start_chaos();
	while (now_ns() < deadline && !atomic_load(&shared->bad)) {
		for (i = 0; i < nr_procs; i++)
			if (!atomic_load(&shared->pids[i]))
				start_worker(i);
		fuzz_pause_ms(100);
		reap(true);
	}
}

/* All of them, their children too: those are ours when their parents die. */
static bool end_all(void)
{
	uint64_t deadline = now_ns() + END_SECONDS * 1000000000UL;
	unsigned int i;
	pid_t pid;

	signal(SIGTERM, SIG_IGN);
	if (chaos > 0)
		kill(chaos, SIGKILL);
	while (now_ns() < deadline) {
		for (i = 0; i < nr_procs; i++) {
			pid = atomic_load(&shared->pids[i]);
			if (pid > 0)
				kill(pid, SIGKILL);
		}
		reap(false);
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return true;
		fuzz_pause_ms(50);
	}
	return false;
}

static void calm_machine(void)
{
	char path[64];
	int cpu;

	for (cpu = 1; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		snprintf(path, sizeof(path),
			 "/sys/devices/system/cpu/cpu%d/online", cpu);
		fuzz_write(path, "1");
	}
	fuzz_write("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	fuzz_write(SYSFS "/user_limit", "max");
	fuzz_write(SYSFS "/pool/low", "0");
	fuzz_write(SYSFS "/pool/high", "0");
}

static bool at_rest(void)
{
	return !attribute("nr_arenas") && !attribute("blocks_in_use") &&
	       !attribute("pool/free");
}

static void wait_for_rest(void)
{
	unsigned int i;

	for (i = 0; i < CALM_SECONDS * 10 && !at_rest(); i++)
		fuzz_pause_ms(100);
}

static void report_ops(double elapsed)
{
	unsigned long tried, done, all = 0;
	char never[512] = "";
	unsigned int i;

	for (i = 0; i < worker_nr_ops(); i++) {
		tried = atomic_load(&shared->tried[i]);
		done = atomic_load(&shared->done[i]);
		all += tried;
		printf("# %-12s %8lu, %8lu had an effect\n", worker_op_name(i),
		       tried, done);
		if (tried >= 100 && !done && strcmp(worker_op_name(i), "poison"))
			snprintf(never + strlen(never),
				 sizeof(never) - strlen(never), " %s",
				 worker_op_name(i));
	}
	printf("# %lu operations, %.0f a second; %lu failures injected by number\n",
	       all, all / elapsed, atomic_load(&shared->injected));
	printf("# %u processes started, %lu killed by others, %lu pages poisoned\n",
	       started, atomic_load(&shared->killed),
	       atomic_load(&shared->poisonings));
	if (never[0])
		printf("# without effect:%s\n", never);
	test(!never[0], "every operation had an effect at least once");
}

static void check_pool(void)
{
	long allocated = attribute("pool/allocated");
	long returned = attribute("pool/returned");
	long lost = attribute("pool/lost");
	long poisoned = attribute("pool/poisoned");
	long kept = attribute("pool/reserved_free") + attribute("pool/free");

	test(!attribute("nr_arenas"), "no arena is left");
	test(!attribute("blocks_in_use"), "no block is in use");
	printf("# blocks: %ld allocated, %ld returned, %ld lost, %ld poisoned, %ld kept\n",
	       allocated, returned, lost, poisoned, kept);
	printf("# %ld recycled, %ld prepared, %ld reclaimed, %ld takes failed\n",
	       attribute("pool/recycled"), attribute("pool/prepared"),
	       attribute("blocks_reclaimed"), attribute("pool/failed"));
	test(allocated == returned + lost + poisoned + kept,
	     "the pool's counters add up");
	test(poisoned <= (long)atomic_load(&shared->poisonings),
	     "no more blocks are poisoned than pages were");
}

/* Caches and checkers keep some memory; a leak of blocks is more. */
static void check_memory(long before)
{
	long after = free_kb(), allowed = before / 10;

	allowed += attribute("pool/poisoned") * (BLOCK / 1024);
	printf("# free memory: %ld MiB before, %ld MiB after\n", before / 1024,
	       after / 1024);
	test(before - after <= allowed, "memory is free again");
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "processes", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 'r' },
		{ "poison", required_argument, NULL, 'm' },
		{ "calm", no_argument, NULL, 'c' },
		{},
	};
	int option;

	seed = now_ns() ^ (uint64_t)time(NULL) << 20;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long value = optarg ? strtoul(optarg, NULL, 0) : 0;

		switch (option) {
		case 's': seconds = value; break;
		case 'p': nr_procs = value; break;
		case 'r': seed = value; break;
		case 'm': max_poisonings = value; break;
		case 'c': calm = true; break;
		default: exit(2);
		}
	}
	if (!nr_procs || nr_procs > NR_PROCS_MAX) {
		fprintf(stderr, "fuzz: 1 to %d processes\n", NR_PROCS_MAX);
		exit(2);
	}
}

static void set_up(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, shared->mail)) {
		printf("Bail out! %s\n", strerror(errno));
		exit(1);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fuzz_write("/proc/self/oom_score_adj", "-1000");
	chmod("/dev/hugespan", 0666);
	arm_kernel();
	make_cgroup();
}

int main(int argc, char **argv)
{
	uint64_t start;
	long before;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	printf("1..8\n# fuzz --seed %#lx --seconds %u --processes %u\n", seed,
	       seconds, nr_procs);
	set_up();
	before = free_kb();
	start = now_ns();
	run(start + seconds * 1000000000UL);
	test(end_all(), "all processes end when killed");
	if (atomic_load(&shared->bad))
		printf("# %s\n", shared->why);
	test(!atomic_load(&shared->bad), "no process met with a contradiction");
	report_ops((now_ns() - start) / 1e9);
	close(shared->mail[0]);
	close(shared->mail[1]);
	calm_machine();
	wait_for_rest();
	check_pool();
	check_memory(before);
	return nr_failed != 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several processes and threads on one arena: spans, faults, releases, fork,
 * munmap and kill, all at once.  stress [seconds]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "abi.h"

#define NR_PROCS	4
#define NR_THREADS	3
#define HELD		24

struct worker {
	int fd;
	unsigned int seed;
	char *data;
	struct hspan_span held[HELD];
	unsigned int nr_held;
};

static int arena;
static time_t deadline;
static pthread_t threads[NR_PROCS * NR_THREADS];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned long *span_words(struct worker *w, const struct hspan_span *s)
{
	return (unsigned long *)(w->data + (size_t)s->page * HSPAN_PAGE_SIZE);
}

/* Fresh means zero; then mark it as ours. */
static void take_one(struct worker *w)
{
	struct hspan_span *s = &w->held[w->nr_held];
	unsigned int large = rand_r(&w->seed) % 4 == 0;
	unsigned long *words, i, nr;

	if (abi_get(w->fd, large ? HSPAN_CLASS_LARGE_SCAN : CLASS_32,
		    large ? 1 + rand_r(&w->seed) % 400 : 0, s, 1) != 1)
		return;
	words = span_words(w, s);
	nr = s->npages * HSPAN_PAGE_SIZE / sizeof(*words);
	if (s->flags & HSPAN_SPAN_FRESH) {
		for (i = 0; i < nr; i += 64)
			if (words[i])
				die("fresh span is not zero");
	}
	for (i = 0; i < nr; i += 512)
		words[i] = (unsigned long)s->page << 32 | w->seed | 1;
	words[0] = s->page + 1;
	w->nr_held++;
}

static void put_one(struct worker *w)
{
	unsigned int i = rand_r(&w->seed) % w->nr_held;
	struct hspan_span s = w->held[i];
	struct hspan_put put = {
		.page = s.page, .nfree = s.npages > 1 || s.span_class < 2 ?
					 1 : 256, .sweepgen = s.sweepgen,
	};
	struct hspan_span_put args = { .puts = (uintptr_t)&put, .nr = 1 };

	if (*span_words(w, &s) != s.page + 1UL)
		die("another has written to our span");
	w->held[i] = w->held[--w->nr_held];
	if (ioctl(w->fd, HSPAN_IOC_SPAN_PUT, &args) && put.error != -EINVAL)
		die("put");
}

static void remap_some(struct worker *w)
{
	size_t at = (rand_r(&w->seed) % ABI_BLOCKS) * HSPAN_BLOCK_SIZE;

	if (rand_r(&w->seed) % 2)
		at += HSPAN_BLOCK_SIZE / 2;
	madvise(w->data + at, HSPAN_BLOCK_SIZE / 2, MADV_DONTNEED);
	mprotect(w->data + at, 4096, PROT_READ);
	mprotect(w->data + at, 4096, PROT_READ | PROT_WRITE);
}

/* A second mapping that goes in two halves while others fault in it. */
static void map_again(struct worker *w)
{
	size_t size = ABI_BLOCKS * HSPAN_BLOCK_SIZE;
	char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, w->fd, 0);
	unsigned int i;

	if (p == MAP_FAILED)
		die("mmap");
	for (i = 0; i < w->nr_held; i++)
		if (*(unsigned long *)(p + w->held[i].page * HSPAN_PAGE_SIZE) !=
		    w->held[i].page + 1UL)
			die("second mapping differs");
	munmap(p + size / 2 + 4096, size / 2 - 4096);
	munmap(p, size / 2 + 4096);
}

static void sweep_some(struct worker *w)
{
	struct hspan_span spans[16];
	int i, nr = abi_sweep(w->fd, spans, 16);

	for (i = 0; i < nr; i++)
		abi_put(w->fd, &spans[i], spans[i].span_class == CLASS_32 ?
						  256 : 1);
	if (nr == 0)
		abi_cycle(w->fd);
}

static void child_touches(struct worker *w)
{
	unsigned int i;
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (!pid) {
		for (i = 0; i < w->nr_held; i++)
			if (*span_words(w, &w->held[i]) != w->held[i].page + 1UL)
				_exit(1);
		_exit(0);
	}
	if (waitpid(pid, (int *)&i, 0) == pid && i)
		die("child sees other bytes");
}

static void *work(void *arg)
{
	struct worker *w = arg;

	w->data = mmap(NULL, ABI_BLOCKS * HSPAN_BLOCK_SIZE,
		       PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	if (w->data == MAP_FAILED)
		die("mmap");
	while (time(NULL) < deadline) {
		unsigned int what = rand_r(&w->seed) % 64;

		if (what < 24 && w->nr_held < HELD)
			take_one(w);
		else if (what < 48 && w->nr_held)
			put_one(w);
		else if (what < 56)
			sweep_some(w);
		else if (what < 60)
			remap_some(w);
		else if (what < 62)
			map_again(w);
		else if (what < 63)
			child_touches(w);
		else
			abi_release(w->fd);
	}
	return NULL;
}

static void process(unsigned int nr)
{
	static struct worker workers[NR_THREADS];
	unsigned int i;

	for (i = 0; i < NR_THREADS; i++) {
		workers[i].fd = i ? workers[0].fd : abi_open(arena);
		workers[i].seed = nr * 1000 + i;
		if (workers[i].fd < 0)
			die("open");
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			die("thread");
	}
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	exit(0);
}

static pid_t spawn(unsigned int nr)
{
	pid_t pid = fork();

	if (!pid)
		process(nr);
	return pid;
}

/* Kill one of them now and then, and start another in its place. */
static int supervise(void)
{
	struct timespec nap = { .tv_nsec = 300000000 };
	pid_t pids[NR_PROCS];
	unsigned int i, nr = 0;
	int status, bad = 0;

	for (i = 0; i < NR_PROCS; i++)
		pids[i] = spawn(++nr);
	while (time(NULL) < deadline) {
		nanosleep(&nap, NULL);
		i = nr % NR_PROCS;
		kill(pids[i], SIGKILL);
		waitpid(pids[i], &status, 0);
		bad |= !WIFSIGNALED(status) && status;
		pids[i] = spawn(++nr);
	}
	for (i = 0; i < NR_PROCS; i++) {
		waitpid(pids[i], &status, 0);
		bad |= status;
	}
	printf("# %u processes started, %u killed\n", nr, nr - NR_PROCS);
	return bad;
}

/* A child of one that was killed may live a little longer, with its client. */
static void wait_for_orphans(void)
{
	unsigned int i;

	for (i = 0; i < 3000 && abi_stats(arena).clients != 1; i++)
		usleep(10000);
}

int main(int argc, char **argv)
{
	struct hspan_arena_stats st;
	int bad;

	printf("1..3\n");
	fflush(stdout);
	deadline = time(NULL) + (argc > 1 ? atoi(argv[1]) : 20);
	arena = abi_arena(ABI_BLOCKS, ABI_BLOCKS - 2);
	bad = supervise();
	printf("%s 1 - bytes are right in every process\n", bad ? "not ok" : "ok");
	wait_for_orphans();
	st = abi_stats(arena);
	printf("# gets %llu puts %llu faults %llu blocks grown %llu released %llu lost %ld\n",
	       st.gets, st.puts, st.faults, st.blocks_grown, st.blocks_released,
	       abi_sysfs("pool/lost"));
	printf("%s 2 - nobody holds a span\n",
	       st.spans_held || st.clients != 1 ? "not ok" : "ok");
	close(arena);
	printf("%s 3 - all blocks are back\n",
	       abi_sysfs("blocks_in_use") || abi_sysfs("nr_arenas") ? "not ok" : "ok");
	return bad || st.spans_held;
}

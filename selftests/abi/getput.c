// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads of many processes get and put spans of one arena, each process
 * as a client of its own; nothing may be lost and hardly anything may miss the
 * CPU caches.
 *
 *	getput PROCESSES THREADS PAIRS [hotplug]
 *
 * PAIRS of a get and a put are made by all together.  With "hotplug" it is
 * more, until CPUs went and came and cycles began ROUNDS times; how often
 * caches hit is not judged then.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "abi.h"

#define BLOCKS		64
#define NR_CLASSES	8
#define BURST		4	/* spans more than one, now and then */
#define BURST_EVERY	16	/* on average */
#define MIN_HIT_RATE	98	/* percent, of a million pairs or more */
#define MIN_SHORT_RATE	90	/* of fewer: caches are still growing */
#define ROUNDS		10

/**
 * struct worker - a thread and what it holds
 * @seed: of its random numbers
 * @tag: what it writes into its spans
 * @pairs: still to do
 * @got: spans it was given
 * @held: one of each class
 */
struct worker {
	pthread_t thread;
	unsigned int seed;
	unsigned long tag;
	unsigned long pairs;
	unsigned long got;
	struct hspan_span held[NR_CLASSES];
};

/* What all processes see. */
static struct shared {
	unsigned long got;
	int disturbing;
} *shared;

static int arena, client;
static char *data;
static const volatile struct hspan_control *control;

static unsigned int class_of(unsigned int i)
{
	return HSPAN_SPAN_CLASS(4 + 5 * (i / 2), i & 1);
}

static unsigned long *first_word(const struct hspan_span *span)
{
	return (unsigned long *)(data + (size_t)span->page * HSPAN_PAGE_SIZE);
}

static void get(struct worker *w, unsigned int class, struct hspan_span *spans,
		unsigned int nr)
{
	unsigned int have = 0;
	int n;

	while (have < nr) {
		n = abi_get(client, class, 0, spans + have, nr - have);
		if (n < 0)
			abi_die("get");
		for (; n; n--)
			*first_word(&spans[have++]) = w->tag;
	}
	w->got += nr;
}

/* Cycles may begin at any time: then it counts as swept by us meanwhile. */
static void put(struct worker *w, const struct hspan_span *spans,
		unsigned int nr)
{
	struct hspan_put puts[BURST];
	struct hspan_span_put args = { .puts = (uintptr_t)puts };
	unsigned int i, left = nr;

	for (i = 0; i < nr; i++) {
		if (*first_word(&spans[i]) != w->tag)
			abi_die("another has written to our span");
		puts[i].page = spans[i].page;
		puts[i].nfree = 1 + rand_r(&w->seed) % 3;
	}
	while (left) {
		for (i = 0; i < left; i++)
			puts[i].sweepgen = control->sweepgen;
		args.nr = left;
		if (ioctl(client, HSPAN_IOC_SPAN_PUT, &args) && errno != EINVAL)
			abi_die("put");
		for (nr = left, left = 0, i = 0; i < nr; i++)
			if (puts[i].error)
				puts[left++] = puts[i];
	}
}

/* A span of some class for another, and sometimes some more for a while. */
static void *work(void *arg)
{
	struct worker *w = arg;
	struct hspan_span more[BURST];
	unsigned int i, n;

	for (i = 0; i < NR_CLASSES; i++)
		get(w, class_of(i), &w->held[i], 1);
	while (w->got < w->pairs ||
	       __atomic_load_n(&shared->disturbing, __ATOMIC_RELAXED)) {
		i = rand_r(&w->seed) % NR_CLASSES;
		put(w, &w->held[i], 1);
		get(w, class_of(i), &w->held[i], 1);
		if (rand_r(&w->seed) % BURST_EVERY)
			continue;
		n = 1 + rand_r(&w->seed) % BURST;
		get(w, class_of(i), more, n);
		put(w, more, n);
	}
	for (i = 0; i < NR_CLASSES; i++)
		put(w, &w->held[i], 1);
	__atomic_fetch_add(&shared->got, w->got, __ATOMIC_SEQ_CST);
	return NULL;
}

static void map_arena(int fd)
{
	data = mmap(NULL, BLOCKS * HSPAN_BLOCK_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, HSPAN_OFF_DATA);
	control = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd,
		       HSPAN_OFF_CONTROL);
	if (data == MAP_FAILED || control == MAP_FAILED)
		abi_die("mmap");
}

static void process(unsigned int nr, unsigned int nr_threads,
		    unsigned long pairs)
{
	struct worker *workers = calloc(nr_threads, sizeof(*workers));
	unsigned int i;

	client = abi_open(arena);
	if (client < 0 || !workers)
		abi_die("open");
	close(arena);
	map_arena(client);
	for (i = 0; i < nr_threads; i++) {
		workers[i].seed = nr * 1000 + i;
		workers[i].tag = nr * 1000 + i + 1;
		workers[i].pairs = pairs;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			abi_die("thread");
	}
	for (i = 0; i < nr_threads; i++)
		pthread_join(workers[i].thread, NULL);
	_exit(0);
}

/* False if there is no such CPU, or it cannot go. */
static int set_cpu(unsigned int cpu, const char *to)
{
	char path[64];
	int fd, good;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online",
		 cpu);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return 0;
	good = write(fd, to, 1) == 1;
	close(fd);
	return good;
}

/* Sweep all that is unswept, so that the next cycle can begin. */
static void sweep_all(void)
{
	struct hspan_span spans[BURST];
	struct worker me = { .seed = 1 };
	int i, n;

	while ((n = abi_sweep(client, spans, BURST)) > 0) {
		for (i = 0; i < n; i++)
			*first_word(&spans[i]) = me.tag;
		put(&me, spans, n);
	}
}

/* CPUs go and come, cycles begin and everything is swept. */
static int disturb(void)
{
	unsigned int round, moved = 0, cpu;
	long others = sysconf(_SC_NPROCESSORS_CONF) - 1;

	for (round = 0; round < ROUNDS; round++) {
		cpu = others ? 1 + round % others : 0;
		moved += set_cpu(cpu, "0");
		sweep_all();
		if (abi_cycle(arena) > 0)
			sweep_all();
		set_cpu(cpu, "1");
	}
	__atomic_store_n(&shared->disturbing, 0, __ATOMIC_RELAXED);
	printf("# %u times a CPU went, %u cycles\n", moved,
	       control->sweepgen - 1);
	return moved || !others;
}

static int wait_for_all(unsigned int nr)
{
	int status, bad = 0;

	while (nr--) {
		if (wait(&status) < 0)
			abi_die("wait");
		bad |= status;
	}
	return bad;
}

static void spawn_all(unsigned int nr_procs, unsigned int nr_threads,
		      unsigned long pairs)
{
	unsigned int i;

	fflush(stdout);
	for (i = 0; i < nr_procs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			abi_die("fork");
		if (!pid)
			process(i, nr_threads, pairs / nr_procs / nr_threads);
	}
}

/* Everybody has gone: what do the books say? */
static void audit(unsigned long pairs, int disturbed)
{
	struct hspan_arena_stats st = abi_stats(arena);
	double rate = 100.0 * st.cache_hits / st.gets;
	int min = pairs < 1000000 ? MIN_SHORT_RATE : MIN_HIT_RATE;
	unsigned long spans;

	printf("# %llu gets: %.2f %% from CPU caches, %.2f %% from lists, %.3f %% new\n",
	       st.gets, rate, 100.0 * st.central_hits / st.gets,
	       100.0 * st.page_heap_hits / st.gets);
	abi_check(st.clients == 1 && !st.spans_held, "nobody holds a span");
	abi_check(disturbed || st.gets == shared->got,
		  "as many gets as spans were got");
	abi_check(st.gets == st.puts, "as many puts as gets");
	abi_check(st.spans == st.page_heap_hits,
		  "as many spans as were ever made");
	abi_check(disturbed || rate >= min, "the caches serve nearly all");
	spans = abi_sweep_away(arena);
	printf("# %lu spans of %llu found\n", spans, st.spans);
	abi_check(spans == st.spans, "every span is found");
	st = abi_stats(arena);
	abi_check(!st.spans && !st.pages_used && !st.spans_cached,
		  "and ended, and no page is in use");
	abi_check(abi_release(arena) == st.blocks_held, "all blocks are free");
}

int main(int argc, char **argv)
{
	unsigned int nr_procs = argc > 1 ? atoi(argv[1]) : 8;
	unsigned int nr_threads = argc > 2 ? atoi(argv[2]) : 4;
	unsigned long pairs = argc > 3 ? atol(argv[3]) : 100000;
	int disturbing = argc > 4 && !strcmp(argv[4], "hotplug");

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abi_die("mmap");
	shared->disturbing = disturbing;
	printf("1..%d\n", 10 + disturbing);
	arena = abi_arena(BLOCKS, 0);
	spawn_all(nr_procs, nr_threads, pairs);
	client = arena;
	map_arena(arena);
	if (disturbing)
		abi_check(disturb(), "CPUs went and came, if there are several");
	abi_check(!wait_for_all(nr_procs), "every call was as it should be");
	audit(pairs, disturbing);
	munmap(data, BLOCKS * HSPAN_BLOCK_SIZE);
	munmap((void *)control, 4096);
	close(arena);
	abi_check(!abi_sysfs("blocks_in_use") && !abi_sysfs("nr_arenas"),
		  "all blocks are back");
	return abi_nr_failed;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that share an arena are killed at random moments, one after the
 * other: nothing of the others is touched, what the dead held is listed as it
 * was, and in the end every span and block is accounted for.
 *
 *	survive [KILLS [PROCESSES]]
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "abi.h"

#define BLOCKS		64
#define MAX_PROCS	64
#define HELD		24
#define MAX_LARGE	40	/* pages */
#define CYCLE_EVERY	4	/* kills */

/**
 * struct filled - a span that its holder has filled
 * @page: its first page + 1, stored when all the rest is done; 0 = none
 * @npages: pages
 * @nfree: slots it will say are free
 * @seed: what it is filled from
 */
struct filled {
	unsigned int page;
	unsigned int npages;
	unsigned int nfree;
	unsigned long seed;
};

/**
 * struct process - one of them, as all can see
 * @verified: spans it found as it had filled them
 * @stop: it should put all and exit
 * @held: what it holds
 */
static struct process {
	unsigned long verified;
	int stop;
	struct filled held[HELD];
} *processes;

static int arena;
static char *data;
static const volatile struct hspan_control *control;
static const volatile __u32 *page_map;

/* The word at @i of what a seed stands for. */
static unsigned long word_at(unsigned long seed, unsigned long i)
{
	unsigned long x = (seed + i) * 0x9e3779b97f4a7c15UL;

	return x ^ x >> 29;
}

static unsigned long *words_of(const struct filled *span)
{
	return (unsigned long *)(data +
				 (size_t)(span->page - 1) * HSPAN_PAGE_SIZE);
}

static unsigned long nr_words(const struct filled *span)
{
	return span->npages * HSPAN_PAGE_SIZE / sizeof(long);
}

static int is_intact(const struct filled *span)
{
	unsigned long *words = words_of(span), i;

	for (i = 0; i < nr_words(span); i++)
		if (words[i] != word_at(span->seed, i))
			return 0;
	return HSPAN_PM_PAGE(page_map[span->page - 1]) == span->page - 1;
}

/* Swept by us just now, as far as the heap is concerned. */
static void put(int fd, unsigned int page, unsigned int nfree)
{
	struct hspan_put put;
	struct hspan_span_put args = { .puts = (uintptr_t)&put, .nr = 1 };

	do {
		put.page = page;
		put.nfree = nfree;
		put.sweepgen = control->sweepgen;
	} while (ioctl(fd, HSPAN_IOC_SPAN_PUT, &args) && errno == EINVAL);
	if (put.error)
		abi_die("put");
}

/* Nobody holds it, so we cannot put it; but it is there. */
static void put_is_refused(unsigned int page)
{
	struct hspan_put put = { .page = page,
				 .sweepgen = control->sweepgen };
	struct hspan_span_put args = { .puts = (uintptr_t)&put, .nr = 1 };

	if (!ioctl(arena, HSPAN_IOC_SPAN_PUT, &args) || errno != EALREADY)
		abi_die("put of a dead process's span");
}

static unsigned int some_class(unsigned int *seed)
{
	static const unsigned int classes[] = {
		HSPAN_CLASS_LARGE_SCAN, CLASS_32, HSPAN_SPAN_CLASS(10, 0),
		HSPAN_SPAN_CLASS(58, 1),
	};

	return classes[rand_r(seed) % ARRAY_SIZE(classes)];
}

/*
 * Get one, fill it, and only then say so.  Until the next cycle all may be
 * full.  What is unswept may be of use to somebody, a dead one's here.
 */
static void take(int fd, struct filled *span, unsigned int *seed)
{
	unsigned int class = some_class(seed);
	struct hspan_span got;
	unsigned long i, *words;

	if (abi_get(fd, class, class < 2 ? 1 + rand_r(seed) % MAX_LARGE : 0,
		    &got, 1) != 1) {
		if (errno != ENOSPC)
			abi_die("get");
		return;
	}
	if (got.flags & HSPAN_SPAN_UNSWEPT) {
		put(fd, got.page, 0);
		return;
	}
	span->npages = got.npages;
	span->nfree = rand_r(seed) % (abi_slots(class) + 1);
	span->seed = (unsigned long)rand_r(seed) << 32 | got.page;
	words = (unsigned long *)(data + (size_t)got.page * HSPAN_PAGE_SIZE);
	for (i = 0; i < nr_words(span); i++)
		words[i] = word_at(span->seed, i);
	__atomic_store_n(&span->page, got.page + 1, __ATOMIC_RELEASE);
}

static void verify(struct process *me, const struct filled *span)
{
	if (!is_intact(span))
		abi_die("a span of a survivor is damaged");
	me->verified++;
}

static void give(int fd, struct process *me, struct filled *span)
{
	unsigned int page = span->page - 1;

	verify(me, span);
	__atomic_store_n(&span->page, 0, __ATOMIC_RELEASE);
	put(fd, page, span->nfree);
}

static void process(struct process *me, unsigned int seed)
{
	int fd = abi_open(arena);
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0)
		abi_die("open");
	close(arena);
	while (!__atomic_load_n(&me->stop, __ATOMIC_RELAXED)) {
		struct filled *span = &me->held[rand_r(&seed) % HELD];

		if (!span->page)
			take(fd, span, &seed);
		else if (rand_r(&seed) % 3)
			give(fd, me, span);
		else
			verify(me, span);
	}
	for (i = 0; i < HELD; i++)
		if (me->held[i].page)
			give(fd, me, &me->held[i]);
	_exit(0);
}

static pid_t spawn(struct process *slot, unsigned int seed)
{
	pid_t pid = fork();

	if (pid < 0)
		abi_die("fork");
	if (!pid)
		process(slot, seed);
	return pid;
}

/* What the dead held is as it left it, and nobody's. */
static void inherit(struct process *dead)
{
	unsigned int i;

	for (i = 0; i < HELD; i++) {
		struct filled *span = &dead->held[i];

		if (!span->page)
			continue;
		if (!is_intact(span))
			abi_die("a span of the dead is damaged");
		put_is_refused(span->page - 1);
		span->page = 0;
	}
}

/* End all spans that nobody holds. */
static unsigned long sweep_all(void)
{
	struct hspan_span spans[32];
	unsigned long nr = 0;
	int got, i;

	while ((got = abi_sweep(arena, spans, 32)) > 0) {
		for (i = 0; i < got; i++)
			put(arena, spans[i].page,
			    abi_slots(spans[i].span_class));
		nr += got;
	}
	return nr;
}

/* Puts that a cycle overtakes join the unswept: they keep the next one back. */
static unsigned long collect(void)
{
	unsigned long nr = sweep_all();

	while (abi_cycle(arena) < 0) {
		if (errno != EBUSY)
			abi_die("cycle");
		nr += sweep_all();
	}
	return nr + sweep_all();
}

static int reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		abi_die("wait");
	return status;
}

/* Returns how many did not die of what they should. */
static unsigned int kill_many(pid_t *pids, unsigned int nr_procs,
			      unsigned int kills)
{
	unsigned int seed = 1, nr, i, wrong = 0;
	unsigned long found = 0;

	for (nr = 1; nr <= kills; nr++) {
		struct timespec nap = {
			.tv_nsec = rand_r(&seed) % 40 * 1000000,
		};

		nanosleep(&nap, NULL);
		i = rand_r(&seed) % nr_procs;
		kill(pids[i], SIGKILL);
		wrong += reap(pids[i]) != SIGKILL;
		wrong += abi_stats(arena).clients != nr_procs;
		inherit(&processes[i]);
		if (nr % CYCLE_EVERY == 0)
			found += collect();
		pids[i] = spawn(&processes[i], 1000 + nr);
		while (abi_stats(arena).clients != nr_procs + 1)
			usleep(1000);
	}
	printf("# %u killed, %lu spans swept meanwhile\n", kills, found);
	return wrong;
}

static unsigned int stop_all(pid_t *pids, unsigned int nr_procs)
{
	unsigned int i, wrong = 0;
	unsigned long verified = 0;

	for (i = 0; i < nr_procs; i++)
		processes[i].stop = 1;
	for (i = 0; i < nr_procs; i++) {
		wrong += reap(pids[i]) != 0;
		verified += processes[i].verified;
	}
	printf("# %lu times a span was verified by its holder\n", verified);
	return wrong;
}

static void audit(void)
{
	struct hspan_arena_stats st = abi_stats(arena);
	unsigned long found;

	abi_check(st.clients == 1 && !st.spans_held, "nobody holds a span");
	found = abi_sweep_away(arena);
	printf("# %lu spans of %llu found\n", found, st.spans);
	abi_check(found == st.spans, "every span is found");
	st = abi_stats(arena);
	abi_check(!st.spans && !st.pages_used && !st.spans_cached,
		  "and ended, and no page is in use");
	abi_check(abi_release(arena) == st.blocks_held, "all blocks are free");
}

static void *map(int fd, unsigned long long off, size_t size, int prot)
{
	void *p = mmap(NULL, size, prot, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS :
						       0), fd, off);

	if (p == MAP_FAILED)
		abi_die("mmap");
	return p;
}

int main(int argc, char **argv)
{
	unsigned int kills = argc > 1 ? atoi(argv[1]) : 20;
	unsigned int nr_procs = argc > 2 ? atoi(argv[2]) : 8, i;
	size_t map_size = BLOCKS * HSPAN_BLOCK_PAGES * sizeof(__u32);
	pid_t pids[MAX_PROCS];

	if (nr_procs > MAX_PROCS)
		nr_procs = MAX_PROCS;
	printf("1..7\n");
	fflush(stdout);
	arena = abi_arena(BLOCKS, 0);
	processes = map(-1, 0, nr_procs * sizeof(*processes),
			PROT_READ | PROT_WRITE);
	data = map(arena, HSPAN_OFF_DATA, BLOCKS * HSPAN_BLOCK_SIZE,
		   PROT_READ | PROT_WRITE);
	control = map(arena, HSPAN_OFF_CONTROL, 4096, PROT_READ);
	page_map = map(arena, HSPAN_OFF_PAGE_MAP, map_size, PROT_READ);
	for (i = 0; i < nr_procs; i++)
		pids[i] = spawn(&processes[i], i);
	while (abi_stats(arena).clients != nr_procs + 1)
		usleep(1000);
	abi_check(!kill_many(pids, nr_procs, kills),
		  "what the dead held is as they left it");
	abi_check(!stop_all(pids, nr_procs), "what the others held, too");
	audit();
	munmap(data, BLOCKS * HSPAN_BLOCK_SIZE);
	munmap((void *)control, 4096);
	munmap((void *)page_map, map_size);
	close(arena);
	abi_check(!abi_sysfs("blocks_in_use") && !abi_sysfs("nr_arenas"),
		  "all blocks are back");
	return abi_nr_failed;
}

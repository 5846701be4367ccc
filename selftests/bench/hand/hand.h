/* SPDX-License-Identifier: MIT */
/*
 * What the programs of hand-freed memory share: random numbers, threads.  Each
 * does a fixed amount of work; ./measure tells how long it took.
 */
#ifndef HAND_H
#define HAND_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HAND_MAX_THREADS 64

static inline uint32_t hand_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)((*state * 0x2545f4914f6cdd1dull) >> 32);
}

static inline uint32_t hand_below(uint64_t *state, uint32_t below)
{
	return (uint32_t)(((uint64_t)hand_random(state) * below) >> 32);
}

static inline uint64_t hand_seed(uint64_t n)
{
	return (n + 1) * 0x9e3779b97f4a7c15ull;
}

/* The number that is argument @i, or @value if there is none. */
static inline long hand_arg(int argc, char **argv, int i, long value)
{
	return i < argc ? atol(argv[i]) : value;
}

static inline void *hand_alloc(size_t size)
{
	char *p = malloc(size);

	if (!p) {
		fprintf(stderr, "no memory\n");
		exit(1);
	}
	p[0] = p[size - 1] = (char)size;
	return p;
}

/* Run fn(0 .. n - 1) in threads of their own and wait for them. */
static inline void hand_threads(long n, void *(*fn)(void *))
{
	pthread_t threads[HAND_MAX_THREADS];
	long i;

	for (i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, fn, (void *)i))
			exit(1);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

/* Bytes of memory held. */
static inline size_t hand_resident(void)
{
	unsigned long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &size, &pages) != 2)
		exit(1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif /* HAND_H */

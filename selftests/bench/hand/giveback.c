// SPDX-License-Identifier: MIT
/*
 * How much memory is held after most of it was freed: 2 GB of objects, nine of
 * ten freed in random order, a phase of other sizes, then five seconds of a
 * little allocation, in which the longest is timed.
 *
 *	giveback [SMALLEST LARGEST]
 */
#include <time.h>
#include <unistd.h>

#include "hand.h"

#define TOTAL	      (2ul << 30)
#define PHASE_OBJECTS 500000
#define SECONDS	      5

static uint64_t state;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void swap(void **a, void **b)
{
	void *t = *a;

	*a = *b;
	*b = t;
}

/* Other sizes: made, and freed again. */
static void phase(void)
{
	void **p = malloc(PHASE_OBJECTS * sizeof(*p));
	long i;

	for (i = 0; i < PHASE_OBJECTS; i++)
		p[i] = hand_alloc(16 + hand_below(&state, 500));
	for (i = 0; i < PHASE_OBJECTS; i++)
		free(p[i]);
	free(p);
}

/* The longest allocation until @end, and the longest of doing nothing. */
static double watch(double end, double *worst_idle)
{
	enum { NR = 256 };
	void *p[NR] = {NULL};
	double worst = 0, a, b, c;

	*worst_idle = 0;
	do {
		void **at = &p[hand_below(&state, NR)];

		a = now();
		free(*at);
		*at = hand_alloc(16 + hand_below(&state, hand_below(&state, 100) ? 2000 : 100000));
		b = now();
		c = now();
		worst = b - a > worst ? b - a : worst;
		*worst_idle = c - b > *worst_idle ? c - b : *worst_idle;
		if (!hand_below(&state, 64))
			usleep(100);
	} while (b < end);
	for (int i = 0; i < NR; i++)
		free(p[i]);
	return worst;
}

int main(int argc, char **argv)
{
	size_t least = (size_t)hand_arg(argc, argv, 1, 16 << 10), size, total = 0, live = 0;
	size_t most = (size_t)hand_arg(argc, argv, 2, 256 << 10), base = hand_resident();
	size_t room = TOTAL / least + 1, nr = 0, i;
	void **p = malloc(room * sizeof(*p));
	double start, worst, worst_idle;

	state = hand_seed(3);
	for (; total < TOTAL; total += size) {
		size = least + hand_below(&state, (uint32_t)(most - least + 1));
		p[nr] = memset(hand_alloc(size), 1, size);
		((size_t *)p[nr++])[0] = size;
	}
	for (i = nr - 1; i; i--)
		swap(&p[i], &p[hand_below(&state, (uint32_t)i + 1)]);
	for (i = 0; i < nr; i++) {
		if (i % 10)
			free(p[i]);
		else
			live += ((size_t *)p[i])[0];
	}
	start = now();
	phase();
	worst = watch(start + SECONDS, &worst_idle);
	printf("held\t%.3f\tx\n", (double)(hand_resident() - base) / (double)live);
	printf("stall\t%.1f\tus\n", worst * 1e6);
	printf("stall-idle\t%.1f\tus\n", worst_idle * 1e6);
	return 0;
}

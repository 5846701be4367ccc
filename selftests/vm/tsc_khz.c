// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints how many kHz the time stamp counter runs at, which QEMU's emulation
 * hands to its guests as it is.
 *
 * A guest that finds it out by itself counts its own instructions against an
 * emulated timer: on a busy host it is wrong by factors, and so is its clock.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

#define WINDOW_NS 50000000
#define TRIES 20

struct stamp {
	uint64_t tsc;
	uint64_t ns;
};

/* Both clocks as nearly at once as can be had. */
static struct stamp look(void)
{
	struct stamp best = { 0 };
	uint64_t narrowest = UINT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		struct timespec ts;
		uint64_t before = __rdtsc(), after;

		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		after = __rdtsc();
		if (after - before >= narrowest)
			continue;
		narrowest = after - before;
		best.tsc = before + narrowest / 2;
		best.ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	}
	return best;
}

int main(void)
{
	struct timespec window = { .tv_nsec = WINDOW_NS };
	struct stamp from = look(), to;

	nanosleep(&window, NULL);
	to = look();
	printf("%lu\n", (to.tsc - from.tsc) * 1000000 / (to.ns - from.ns));
	return 0;
}

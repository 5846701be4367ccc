// SPDX-License-Identifier: MIT
/*
 * The markers' share of the CPUs.
 *
 * While a CPU is idle a marker runs on.  When more threads want to run than there
 * are CPUs, markers together take a quarter of these: on few CPUs each runs for a
 * while and rests for a while.  A while is so short that a mutator whose CPU it
 * takes is not kept long, and so long that few are kept.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "share.h"

#define PARTS 4 /* of the CPUs, one is for all markers together */
#define RUN_NS 3000000
#define REST_MOST_NS 12000000
#define REST_LEAST_NS 100000

unsigned int hs_share_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned int)CPU_COUNT(&set);
}

/* Do more threads want to run than there are CPUs for?  As the machine has it. */
static bool is_crowded(unsigned int cpus)
{
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC); /* none is kept: programs close them */
	char text[64], *p = text;
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return true;
	text[n] = 0;
	for (int spaces = 0; *p && spaces < 3; p++)
		spaces += *p == ' ';
	return strtoul(p, NULL, 10) > cpus;
}

uint64_t hs_share_rest(unsigned int markers, unsigned int nr_cpus, uint64_t ran, uint64_t passed)
{
	uint64_t due = ran * PARTS * markers / nr_cpus; /* time in which that is our share */

	if (due < passed + REST_LEAST_NS)
		return 0;
	return due - passed < REST_MOST_NS ? due - passed : REST_MOST_NS;
}

void hs_share_begin(struct hs_share *s)
{
	s->cpu = hs_cpu_now();
	s->wall = hs_now();
}

void hs_share_look(struct hs_share *s, unsigned int markers)
{
	uint64_t ran = hs_cpu_now() - s->cpu;
	struct timespec rest = { 0 };
	unsigned int cpus;

	if (ran < RUN_NS)
		return;
	cpus = hs_share_cpus();
	if (is_crowded(cpus))
		rest.tv_nsec = (long)hs_share_rest(markers, cpus, ran, hs_now() - s->wall);
	if (rest.tv_nsec)
		nanosleep(&rest, NULL);
	hs_share_begin(s);
}

/* SPDX-License-Identifier: MIT */
/* How much CPU markers take: all that is idle, else a quarter of what there is. */
#ifndef HS_SHARE_H
#define HS_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct hs_share - what one marker has taken
 * @cpu, @wall: of its own and of the clock, ns, when it was last looked at
 */
struct hs_share {
	uint64_t cpu, wall;
};

/*
 * How long a marker, one of @markers on @nr_cpus, is to rest that has run for @ran of
 * @passed ns while others wanted its CPU.
 */
uint64_t hs_share_rest(unsigned int markers, unsigned int nr_cpus, uint64_t ran, uint64_t passed);

/* The calling marker begins / has run for a while, and rests if it is time to. */
void hs_share_begin(struct hs_share *s);
void hs_share_look(struct hs_share *s, unsigned int markers);

/* CPUs that the process may use. */
unsigned int hs_share_cpus(void);

#endif /* HS_SHARE_H */

/* SPDX-License-Identifier: MIT */
/*
 * An explorer of all states that a model can reach, breadth first, so that what
 * it finds wrong it finds by a shortest way.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

#define EXPLORE_BYTES 32

/** struct explore_state - what a model keeps in it is its own affair */
struct explore_state {
	uint64_t word[EXPLORE_BYTES / 8];
};

struct explore;

/**
 * struct explore_model - a system in small
 * @first: where it starts; zeroed before
 * @steps: calls explore_step() for each thing that may happen next, and
 *	explore_wrong() if what must hold does not
 * @show: prints one state in one line
 */
struct explore_model {
	void (*first)(struct explore_state *s);
	void (*steps)(const struct explore_state *s, struct explore *x);
	void (*show)(const struct explore_state *s);
};

/**
 * struct explore_result - what was found
 * @states: that were reached
 * @depth: steps to the last of them, or to what is wrong
 * @wrong: why, or NULL
 */
struct explore_result {
	unsigned int states;
	unsigned int depth;
	const char *wrong;
};

/* Visit all states, or as many as it takes; with @trace show the way to a wrong one. */
struct explore_result explore(const struct explore_model *model, bool trace);

/* For a model: from the state in hand @what leads to @next. */
void explore_step(struct explore *x, const struct explore_state *next, const char *what);

/* For a model: the state in hand must not be. */
void explore_wrong(struct explore *x, const char *why);

#endif /* EXPLORE_H */

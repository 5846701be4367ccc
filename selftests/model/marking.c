// SPDX-License-Identifier: MIT
/*
 * All states of the marking protocol, in small: the collector, one or two
 * mutators, a helper or none, and objects with a field each.  TAP on stdout: the
 * protocol loses nothing, and with any one part of it left out it does, or that
 * part would not be needed.
 *
 *	marking [--trace] [--objects N]
 *
 * By which steps, and with how many objects instead of two: three take minutes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

struct setup setup;

static void first(struct explore_state *packed)
{
	(void)packed; /* nothing is allocated, nobody does anything */
}

static void steps(const struct explore_state *packed, struct explore *x)
{
	struct state s;

	memcpy(&s, packed, sizeof(s));
	if (setup.without == NOTHING && s.collector.at >= MARK)
		check_invariant(&s, x);
	for (int i = 0; i < setup.mutators; i++)
		mutate(&s, i, x);
	collect(&s, x);
	if (setup.helpers)
		help(&s, x);
}

static void show(const struct explore_state *packed)
{
	static const char *const phase[] = {"idle", "BARRIER", "SCAN",	"roots", "mark",
					    "look", "DRAIN",   "close", "clear", "done"};
	struct state s;

	memcpy(&s, packed, sizeof(s));
	printf("%-7s root %u fields", phase[s.collector.at], s.root);
	for (int o = 0; o < setup.objects; o++)
		printf(" %u", s.field[o]);
	printf(" allocated %x marked %x work %x weak %u word %u", s.allocated, s.marked, s.work,
	       s.weak, s.word);
	for (int i = 0; i < setup.mutators; i++)
		printf(" | %s%s%s holds %u %u noted %x", s.mutator[i].is & SHADES ? "s" : "-",
		       s.mutator[i].is & BLACK ? "b" : "-", s.mutator[i].is & ASKED ? "?" : " ",
		       s.mutator[i].local[0], s.mutator[i].local[1], s.mutator[i].noted);
	printf("\n");
}

static const struct explore_model model = {first, steps, show};

#define TWO_MUTATORS .mutators = 2, .locals = 2
#define A_HELPER     .mutators = 1, .helpers = 1, .locals = 2
#define WEAK	     .mutators = 1, .locals = 2, .weak = true

static const struct setup setups[] = {
	{"the protocol, two mutators", NOTHING, TWO_MUTATORS},
	{"the protocol, a mutator and a helper", NOTHING, A_HELPER},
	{"without shading what is overwritten", DELETION, A_HELPER},
	{"without shading what is stored", INSERTION, TWO_MUTATORS},
	{"with stores that read first what they overwrite", EXCHANGE, .mutators = 2, .locals = 1},
	{"without a last DRAIN", TERMINATION, A_HELPER},
	{"without waiting for BARRIER before SCAN", WAIT, TWO_MUTATORS},
	{"without waiting for SCAN before marking", WAIT_SCAN, A_HELPER},
	{"without waiting for helpers", ACTIVE, A_HELPER},
	{"without counting pushes", PUSHES, A_HELPER},
	{"the protocol, with a weak reference", NOTHING, WEAK},
	{"without shading what is read from it", SHADING, WEAK},
	{"without telling that it was read", TOUCH, WEAK},
};

#define SETUPS (sizeof(setups) / sizeof(*setups))

int main(int argc, char **argv)
{
	struct explore_result r;
	bool trace = false, failed = false, good;
	int objects = 2;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--trace"))
			trace = true;
		else if (!strcmp(argv[i], "--objects") && i + 1 < argc)
			objects = atoi(argv[++i]);
	}
	if (objects < 2 || objects > OBJECTS)
		return 2;
	printf("1..%zu\n", SETUPS);
	for (size_t i = 0; i < SETUPS; i++) {
		setup = setups[i];
		setup.objects = (uint8_t)objects;
		r = explore(&model, trace);
		good = !r.wrong == (setup.without == NOTHING);
		printf("%sok %zu - %s: %s, %u states, %u steps\n", good ? "" : "not ", i + 1,
		       setup.what, r.wrong ? r.wrong : "nothing is lost", r.states, r.depth);
		fflush(stdout);
		failed |= !good;
	}
	return failed;
}

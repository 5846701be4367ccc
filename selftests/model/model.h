/* SPDX-License-Identifier: MIT */
/*
 * The marking protocol in small: what a state of it consists of, and what the
 * files of the model share.
 *
 * It is a model of what the head of userlib/src/internal.h says, and of
 * collector.c, handshake.c and barrier.c as far as they carry it out; each step
 * names the function that it stands for.  Documentation/collector.rst tells what
 * is left out.
 */
#ifndef MODEL_H
#define MODEL_H

#include "explore.h"

#define OBJECTS	 3 /* at most, and so below */
#define MUTATORS 2
#define LOCALS	 2
#define ROOT	 0 /* as a place to store to; objects are 1 to OBJECTS */
#define BIT(o)	 ((uint8_t)((1u << (o)) >> 1)) /* none for 0 */

/* struct mutator.is */
#define SHADES 1u /* has acked BARRIER */
#define BLACK  2u /* has acked SCAN */
#define ASKED  4u /* has not yet acked the handshake under way */

/* struct marker.at, of the collector */
enum { IDLE, BARRIER, SCAN, ROOTS, MARK, LOOK, DRAIN, CLOSE, CLEAR, DONE };
/* and of the helper */
enum { OUT, IN };

/* struct state.word: as in weak.c, less what finalizers bring back */
enum { SETTLED, OPENED, TOUCHED, CLOSED };

/* struct mutator.within: no critical section, or which; + word as it was found */
enum { READY, STORING, READING };

/* struct state.is */
#define MARKING 1u /* hs.marking */
#define OPEN	2u /* gc.open */
#define GIVEN	4u /* request.given */
#define PUSHED	8u /* the number of pushes has changed since it was read */

/**
 * struct mutator - a thread of the program; sets of objects are bits
 * @local: its stack
 * @noted: its barrier's buffer
 * @own: allocated by it and reachable by no one else so far
 * @within: it is in the middle of a store or a read of the weak reference
 * @to, @value: operands of that
 */
struct mutator {
	uint8_t local[LOCALS];
	uint8_t noted;
	uint8_t own;
	uint8_t is;
	uint8_t within;
	uint8_t to;
	uint8_t value;
};

/**
 * struct marker - who marks
 * @scans: the object it has marked and not yet read, or 0
 * @chunk: its private grey words
 */
struct marker {
	uint8_t at;
	uint8_t scans;
	uint8_t chunk;
};

/**
 * struct state - the whole
 * @field: of each object: another, or 0
 * @allocated, @marked: bits
 * @work: the list that markers share
 * @weak: what a weak reference outside the heap is to, or 0
 */
struct state {
	struct mutator mutator[MUTATORS];
	struct marker collector, helper;
	uint8_t field[OBJECTS];
	uint8_t root;
	uint8_t allocated, marked, work;
	uint8_t is;
	uint8_t weak, word;
};

_Static_assert(sizeof(struct state) <= sizeof(struct explore_state), "a state fits");

/* What is left out. */
enum part {
	NOTHING,
	DELETION,
	INSERTION,
	EXCHANGE,
	TERMINATION,
	WAIT,
	WAIT_SCAN,
	ACTIVE,
	PUSHES,
	SHADING,
	TOUCH,
};

/** struct setup - what a model is made of, and what is left out of it */
struct setup {
	const char *what;
	enum part without;
	int mutators, helpers, locals;
	bool weak;
	uint8_t objects;
};

extern struct setup setup;

/* state.c: sets of objects, and one form for states that are alike. */
uint8_t *place(struct state *s, uint8_t to);
uint8_t locals_of(const struct mutator *m);
uint8_t held(const struct state *s);
uint8_t closure(const struct state *s, uint8_t set, uint8_t within);
void step(struct explore *x, struct state s, const char *what);
void check_invariant(const struct state *s, struct explore *x);

/* What may happen next: in mutators.c, by mutator @i; in markers.c. */
void mutate(const struct state *s, int i, struct explore *x);
void help(const struct state *s, struct explore *x);
void collect(const struct state *s, struct explore *x);

#endif /* MODEL_H */

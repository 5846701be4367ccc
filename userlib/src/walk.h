/* SPDX-License-Identifier: MIT */
/*
 * What is reachable from where, found by the simplest means while the world is
 * stopped: bits and a stack of its own, nothing shared with the marker but
 * hs_find().
 */
#ifndef HS_WALK_H
#define HS_WALK_H

#include "bits.h"

/**
 * struct hs_walk - a walk over the objects
 * @found: called for each object when it is seen for the first time: the word
 *	that points to it, and where that is
 * @in_object: it is in an object, not where the walk was told to look
 * @seen: a bit for each object, laid out like plane 0
 * @stack, @depth: objects that have still to be looked into
 */
struct hs_walk {
	void (*found)(const struct hs_walk *w, const struct hs_object *o, uintptr_t word,
		      uintptr_t where);
	bool in_object;
	uint8_t *seen;
	uintptr_t *stack;
	size_t depth;
};

/* Nothing has been seen; false when there is no memory. */
bool hs_walk_begin(struct hs_walk *w);
void hs_walk_end(struct hs_walk *w);

/* See what @word, which is at @where, points to. */
void hs_walk_word(struct hs_walk *w, uintptr_t word, uintptr_t where);

/* See what is reached from what was seen. */
void hs_walk_on(struct hs_walk *w);

/* See what is reached from a range of words. */
void hs_walk_range(struct hs_walk *w, uintptr_t lo, uintptr_t hi);

bool hs_walk_has_seen(const struct hs_walk *w, const struct hs_object *o);

#endif /* HS_WALK_H */

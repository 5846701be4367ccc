/* SPDX-License-Identifier: MIT */
/*
 * Marking a span at a time: what each marker has seen of its part of the heap, and
 * the spans it has still to visit.
 */
#ifndef HS_SPANS_H
#define HS_SPANS_H

#include "mark.h"

/* For so many markers.  There is none when there is no memory, or a test wants none. */
void hs_spans_create(unsigned int members);
void hs_spans_destroy(void);
struct hs_spans *hs_spans_of(unsigned int member);

/*
 * See the objects that @n words point into.  Those that are no business of
 * spans become grey words of @m.
 */
void hs_spans_see(struct hs_marker *m, const uintptr_t *words, size_t n);

/* The same for words as an object holds them, which may be odd. */
void hs_spans_see_found(struct hs_marker *m, const uintptr_t *words, size_t n);

/* Visit a span that may hold pointers; false when there is none, and nothing is kept from others. */
bool hs_spans_visit(struct hs_marker *m);

/* Mark what was seen in some spans without pointers; false when nothing was. */
bool hs_spans_mark_noscan(struct hs_marker *m);

/* Take in what other markers sent; false when they sent nothing. */
bool hs_spans_receive(struct hs_marker *m);

/* Part of what is to be visited, if it is enough, becomes work of @members. */
bool hs_spans_can_give(const struct hs_marker *m);
void hs_spans_give(struct hs_marker *m, uint64_t members);

/* Part of it becomes words on the work list, for mutators. */
void hs_spans_give_words(struct hs_marker *m);

/* Nothing has been seen, as a new cycle has it; called while nobody marks. */
void hs_spans_forget(void);

#endif /* HS_SPANS_H */

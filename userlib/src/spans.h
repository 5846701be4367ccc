/* SPDX-License-Identifier: MIT */
/*
 * Marking a span at a time: what one marker has seen of each span, and the
 * spans it has still to visit.
 */
#ifndef HS_SPANS_H
#define HS_SPANS_H

#include "mark.h"

/* For a marker that works alone; NULL when there is no memory, or a test wants none. */
struct hs_spans *hs_spans_create(void);
void hs_spans_destroy(struct hs_spans *s);

/*
 * See the objects that @n words point into.  Those that are no business of
 * spans become grey words of @m.
 */
void hs_spans_see(struct hs_marker *m, const uintptr_t *words, size_t n);

/* See what @n words of an object point into. */
void hs_spans_scan(struct hs_marker *m, const struct hs_object *o, const uintptr_t *p, size_t n);

/* Visit a span that may hold pointers; false when there is none. */
bool hs_spans_visit(struct hs_marker *m);

/* Mark what was seen in spans without pointers; false when nothing was. */
bool hs_spans_mark_noscan(struct hs_marker *m);

/* Part of what is to be visited becomes work for others. */
void hs_spans_share(struct hs_marker *m);

/* Nothing has been seen, as a new cycle has it. */
void hs_spans_forget(struct hs_spans *s);

#endif /* HS_SPANS_H */

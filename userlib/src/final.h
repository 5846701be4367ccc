/* SPDX-License-Identifier: MIT */
/*
 * How a mark phase ends for weak references, ephemerons and finalizers: what
 * collector.c calls, and what weak.c and final.c share.
 *
 * In this order, marking still being open: ephemerons are marked with the rest;
 * the weak word is closed (weak.c); short weak references to dead objects are
 * cleared; dead objects whose finalizers are due are found, and marked with what
 * they reach, and ephemerons with them; then long weak references are cleared,
 * cleanups of what is dead even so are due, and the weak word is settled.  Only now
 * is anything called: before, a mutator might load something white from an object
 * that is brought back, and no DRAIN follows any more.
 */
#ifndef HS_FINAL_H
#define HS_FINAL_H

#include "internal.h"

struct hs_marker;
struct hs_special;

/*
 * Around what a program asks of the table of specials: a critical section, and the
 * table's lock.  @object has to be the program's, or NULL.  0 or a negative errno,
 * and then there is nothing to end.
 */
int hs_special_begin(const void *object);
void hs_special_end(void);

/* weak.c */
void hs_weak_open(void);  /* before SCAN, and before each DRAIN */
bool hs_weak_touch(void); /* false: closed, so wait */
bool hs_weak_close(void); /* false: somebody has touched one since */
void hs_weak_revive(void);
void hs_weak_settled(void);
bool hs_weak_is_settled(void);
void hs_weak_wait(void);
bool hs_ephemerons_mark(struct hs_marker *m);
void hs_weak_clear_short(struct hs_special *e, void *arg);
void hs_weak_clear_rest(struct hs_special *e, void *arg);

/* final.c */
void hs_final_settle(struct hs_marker *m);
int hs_final_stop(void);

#endif /* HS_FINAL_H */

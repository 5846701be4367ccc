/* SPDX-License-Identifier: MIT */
/*
 * Stacks that the program's coroutines run on, and which part of which stack
 * is alive.
 *
 * A stack is run on by one thread, or suspended: then all of it that is alive
 * lies between the stack pointer that it was left with and its upper end, and
 * in the callee-saved registers of that moment (struct hs_suspended).  A
 * thread has a stack of its own besides, which nobody else runs on.
 *
 *	Invariant S: while markers run, a word of a stack that a black thread
 *	runs on has been noted since SCAN began, or was put there by a black
 *	thread.
 *
 * So a stack is scanned, once in a cycle, by the first of these:
 *
 *   - the thread that runs on it when it acks SCAN; its own stack, too, while
 *     it runs on another;
 *   - a black thread that is about to run on it;
 *   - the collector, which scans all suspended stacks that are left, after all
 *     have acked SCAN: so none of those can have been run on by a thread not
 *     yet scanned since.  Until it comes to one that stack counts as grey.
 *
 * With snapshots it is the image that is scanned, and all stacks in it.
 *
 * Which it was, hspan_stack.scanned tells: a thread that leaves a stack sets
 * it to its own black_gen.  Whoever reads or changes a stack that is suspended
 * takes it first, by moving .state from HS_SUSPENDED with acquire, and gives it
 * back with release.
 *
 * hspan_stack_switch() is called a few instructions before the stack pointer
 * moves.  In between, the thread has left the old stack as far as all of the
 * above goes, and stands on it all the same; where a handshake finds the stack
 * pointer there, the new stack is alive from where it was left.
 */
#ifndef HS_STACK_H
#define HS_STACK_H

#include "internal.h"

/**
 * struct hs_part - what is alive of one stack
 * @lo, @hi: its ends
 * @sp: alive from here on
 * @regs: HS_NSAVED registers, if it is suspended; else NULL
 */
struct hs_part {
	uintptr_t lo, sp, hi;
	const uintptr_t *regs;
};

#define HS_PARTS_MOST 2 /* of one thread */

unsigned int hs_stack_parts(const struct hs_thread *t, struct hs_part *parts);
void hs_stack_look(struct hs_thread *t);
void hs_stacks_shade(struct hs_thread *t);
void hs_stack_abandon(struct hs_thread *t);
void hs_stacks_scan(void);
void hs_stacks_trim(void);
void hs_stacks_each(void (*fn)(const struct hs_part *part));
void hs_stacks_reset(void);
void hs_stacks_lock(void);
void hs_stacks_unlock(void);

#endif /* HS_STACK_H */

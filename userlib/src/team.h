/* SPDX-License-Identifier: MIT */
/*
 * The markers of a cycle as a team: who is at it, what they send each other, what
 * they want, and how they know that nothing is left.
 *
 * Termination is a matter of one number, *pending*: markers that are in, and
 * chunks that were sent to a member and not received.  Three rules:
 *
 *	1. Nobody takes from the work list, receives or sends who is not in.  The
 *	   collector alone need not be: it is who asks.
 *	2. A chunk counts from before it can be received until its receiver, who
 *	   is in, has it in hand.
 *	3. Who leaves has nothing in hand.
 *
 * So what is grey is on the work list, in a barrier's buffer, in the collector's
 * hands, or pending > 0; and it is closed by a compare-and-exchange from 0.  See
 * "Termination" in Documentation/collector.rst.
 *
 * Members have numbers: 0 is the collector, the others are its helpers.  A mutator
 * that assists is in, and no member: nothing is sent to it.
 */
#ifndef HS_TEAM_H
#define HS_TEAM_H

#include "work.h"

#define HS_NO_MEMBER UINT32_MAX
#define HS_WANT_WORDS (1ull << 63) /* a mutator found no work; other bits: members */

/* The heap is new: @members markers, and none may mark. */
void hs_team_init(unsigned int members);
unsigned int hs_team_size(void);

/* Marking may begin / has ended; the latter is false when somebody is in after all. */
void hs_team_open(void);
bool hs_team_close(void);
bool hs_team_is_open(void);

/* Come in, if marking is open; who does leaves again in either case. */
bool hs_team_enter(void);
void hs_team_leave(void);

/* Is nobody in and nothing under way?  For the collector, which has nothing either. */
bool hs_team_is_idle(void);

/* @chunk, of a kind that the two know, goes to member @to; chunks come in order. */
void hs_team_send(unsigned int to, struct hs_chunk *chunk);

/* All that was sent to @member and not received, oldest first. */
bool hs_team_has_mail(unsigned int member);
struct hs_chunk *hs_team_receive(unsigned int member);

/* What those want that have nothing to do.  Who takes wants sees to them. */
void hs_team_want(uint64_t what);
void hs_team_want_no_more(uint64_t what);
uint64_t hs_team_wants(void);
uint64_t hs_team_take_wants(void);

#endif /* HS_TEAM_H */

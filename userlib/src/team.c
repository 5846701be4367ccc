// SPDX-License-Identifier: MIT
/* Markers at work: their number, their mail, their wants. */
#include <limits.h>
#include <string.h>

#include "team.h"

#define CLOSED (INT_MIN / 2) /* leaves room for those who come in and find it closed */

/**
 * struct team - all is read and written with atomics
 * @pending: see team.h; less than zero: marking is closed
 * @wants: HS_WANT_WORDS, and 1 << member
 * @size: members
 * @inbox: for each member, newest first
 */
static struct {
	int pending __attribute__((aligned(64)));
	uint64_t wants __attribute__((aligned(64)));
	unsigned int size;
	struct {
		struct hs_chunk *chunks;
	} __attribute__((aligned(64))) inbox[HS_MAX_MARKERS];
} team = { .pending = CLOSED };

void hs_team_init(unsigned int members)
{
	memset(&team, 0, sizeof(team));
	team.size = members;
	team.pending = CLOSED;
}

unsigned int hs_team_size(void)
{
	return team.size;
}

void hs_team_open(void)
{
	__atomic_fetch_sub(&team.pending, CLOSED, __ATOMIC_SEQ_CST);
}

bool hs_team_close(void)
{
	int nothing = 0;

	return __atomic_compare_exchange_n(&team.pending, &nothing, CLOSED, 0, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

bool hs_team_is_open(void)
{
	return hs_load_acquire(&team.pending) >= 0;
}

bool hs_team_enter(void)
{
	return __atomic_add_fetch(&team.pending, 1, __ATOMIC_SEQ_CST) > 0;
}

void hs_team_leave(void)
{
	__atomic_fetch_sub(&team.pending, 1, __ATOMIC_SEQ_CST);
}

bool hs_team_is_idle(void)
{
	return !__atomic_load_n(&team.pending, __ATOMIC_SEQ_CST);
}

void hs_team_send(unsigned int to, struct hs_chunk *chunk)
{
	struct hs_chunk **inbox = &team.inbox[to].chunks;

	__atomic_fetch_add(&team.pending, 1, __ATOMIC_SEQ_CST);
	chunk->next = hs_load(inbox);
	while (!__atomic_compare_exchange_n(inbox, &chunk->next, chunk, 1, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
	hs_work_tell();
}

bool hs_team_has_mail(unsigned int member)
{
	return hs_load(&team.inbox[member].chunks);
}

struct hs_chunk *hs_team_receive(unsigned int member)
{
	struct hs_chunk *chunk, *next, *first = NULL;
	int n = 0;

	chunk = __atomic_exchange_n(&team.inbox[member].chunks, NULL, __ATOMIC_ACQUIRE);
	for (; chunk; chunk = next, n++) {
		next = chunk->next;
		chunk->next = first;
		first = chunk;
	}
	if (n)
		__atomic_fetch_sub(&team.pending, n, __ATOMIC_SEQ_CST);
	return first;
}

void hs_team_want(uint64_t what)
{
	if ((hs_load(&team.wants) & what) != what)
		__atomic_fetch_or(&team.wants, what, __ATOMIC_RELAXED);
}

void hs_team_want_no_more(uint64_t what)
{
	if (hs_load(&team.wants) & what)
		__atomic_fetch_and(&team.wants, ~what, __ATOMIC_RELAXED);
}

uint64_t hs_team_wants(void)
{
	return hs_load(&team.wants);
}

uint64_t hs_team_take_wants(void)
{
	return __atomic_exchange_n(&team.wants, 0, __ATOMIC_RELAXED);
}

// SPDX-License-Identifier: MIT
/* The list of chunks of grey objects, and the store of empty ones. */
#include <limits.h>
#include <sched.h>

#include "work.h"

#define SLAB_CHUNKS 64

/**
 * struct hs_work - chunks on their way
 * @lock: a spinlock, held for a few loads and stores, never by a thread that
 *	a handshake can stop; protects @full, @empty
 * @pushes: calls of hs_work_push(); written under @lock
 * @seq: moves with every push, for those who wait
 */
static struct {
	int lock;
	struct hs_chunk *full;
	struct hs_chunk *empty;
	uint64_t pushes;
	int seq;
	int waiters;
} hs_work;

static void lock(void)
{
	unsigned int spins = 0;

	while (__atomic_exchange_n(&hs_work.lock, 1, __ATOMIC_ACQUIRE))
		if (++spins % 64 == 0)
			sched_yield();
}

static void unlock(void)
{
	hs_set_release(&hs_work.lock, 0);
}

static struct hs_chunk *pop(struct hs_chunk **list)
{
	struct hs_chunk *chunk;

	lock();
	chunk = *list;
	if (chunk)
		hs_set(list, chunk->next);
	unlock();
	return chunk;
}

static struct hs_chunk *new_slab(void)
{
	struct hs_chunk *slab = hs_map(SLAB_CHUNKS * sizeof(*slab));

	if (!slab)
		hs_die("hugespan: no memory for mark work\n");
	for (int i = 1; i < SLAB_CHUNKS; i++)
		hs_chunk_free(&slab[i]);
	return slab;
}

struct hs_chunk *hs_chunk_get(void)
{
	struct hs_chunk *chunk = pop(&hs_work.empty);

	if (!chunk)
		chunk = new_slab();
	chunk->count = chunk->kind = 0;
	return chunk;
}

void hs_chunk_free(struct hs_chunk *chunk)
{
	lock();
	chunk->next = hs_work.empty;
	hs_work.empty = chunk;
	unlock();
}

void hs_work_tell(void)
{
	__atomic_fetch_add(&hs_work.seq, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&hs_work.waiters, __ATOMIC_SEQ_CST))
		hs_work_wake();
}

void hs_work_push(struct hs_chunk *chunk)
{
	lock();
	chunk->next = hs_work.full;
	hs_set(&hs_work.full, chunk);
	hs_set_release(&hs_work.pushes, hs_work.pushes + 1);
	unlock();
	hs_work_tell();
}

struct hs_chunk *hs_work_pop(void)
{
	if (hs_work_empty())
		return NULL;
	return pop(&hs_work.full);
}

uint64_t hs_work_pushes(void)
{
	return hs_load_acquire(&hs_work.pushes);
}

bool hs_work_empty(void)
{
	return !hs_load_acquire(&hs_work.full);
}

void hs_work_reset(void)
{
	struct hs_chunk *chunk;

	while ((chunk = hs_work_pop()))
		hs_chunk_free(chunk);
}

int hs_work_seq(void)
{
	return __atomic_load_n(&hs_work.seq, __ATOMIC_SEQ_CST);
}

void hs_work_wait(int seq, long timeout_ns)
{
	__atomic_fetch_add(&hs_work.waiters, 1, __ATOMIC_SEQ_CST);
	if (hs_work_empty())
		hs_futex_wait(&hs_work.seq, seq, timeout_ns);
	__atomic_fetch_sub(&hs_work.waiters, 1, __ATOMIC_SEQ_CST);
}

void hs_work_sleep(int seq)
{
	hs_futex_wait(&hs_work.seq, seq, 0);
}

void hs_work_wake(void)
{
	__atomic_fetch_add(&hs_work.seq, 1, __ATOMIC_SEQ_CST);
	hs_futex_wake(&hs_work.seq, INT_MAX);
}

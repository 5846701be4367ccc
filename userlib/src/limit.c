// SPDX-License-Identifier: MIT
/*
 * The limit in force: the lowest of the program's own, the backend's, and what
 * the memory cgroup leaves for blocks.
 *
 *	allowed = blocks held + room of the cgroup / (block + its tables)
 *
 * once for what makes the kernel refuse or kill (memory.max), which bounds the
 * blocks, and once for what only makes it slow as well (memory.high), which
 * like the others bounds the goal.
 *
 * What others in the cgroup use, the program's malloc() included, is in the
 * room.  As that changes behind our back, of the room that is left only a
 * quarter is lent to the backend, at least what is wanted now; then an
 * allocation that comes to the end of the loan has it looked at again.
 *
 * Whoever may look: the watcher each second, the collector after a sweep, a
 * mutator whose allocation was refused.
 */
#include "cgroup.h"
#include "limit.h"
#include "pacer.h"

#define LOOK_NS 100000000ull /* no more often, unless it has to be known */
#define TABLES (80u << 10)   /* bits, page map and spans of a block */

/**
 * struct limit - protected by @lock, but read at leisure
 * @user: bytes, 0 = none
 * @own: blocks that the backend allows without our asking
 * @allowed: blocks that the cgroup leaves, UINT64_MAX = no limit there
 * @better: the same, and it is not made slow
 * @in_force: @user, @own or @better, the lowest, in blocks
 * @lent: what the backend was told
 * @looked: when
 * @told: the last one that was traced
 *
 * Taken with no other lock held; the backend's own come inside.
 */
static struct {
	pthread_mutex_t lock;
	size_t user;
	uint64_t own;
	uint64_t allowed;
	uint64_t better;
	uint64_t in_force;
	uint64_t lent;
	uint64_t looked;
	uint64_t told;
} limit = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t blocks_held(void)
{
	return hs_load(&hs.space.control->blocks_held);
}

/* Blocks that may be held in all when there is @room for more than @held. */
static uint64_t blocks_in(uint64_t held, int64_t room)
{
	uint64_t less;

	if (room == INT64_MAX)
		return UINT64_MAX;
	if (room >= 0)
		return held + (uint64_t)room / (HSPAN_BLOCK_SIZE + TABLES);
	less = ((uint64_t)-room >> HSPAN_BLOCK_SHIFT) + 1;
	return held > less ? held - less : 0;
}

static void ask_cgroup(struct hs_cgroup *cg)
{
	uint64_t held = blocks_held();

	if (hs.config.ignore & HSPAN_IGNORE_CGROUP || !hs_cgroup_look("", cg))
		cg->soft = cg->hard = INT64_MAX;
	hs_set(&limit.allowed, blocks_in(held, cg->hard));
	hs_set(&limit.better, blocks_in(held, cg->soft));
}

/* Of @most blocks, how far the backend may go before it is looked at again. */
static uint64_t lend(uint64_t most, uint64_t wanted)
{
	uint64_t held = blocks_held(), loan;

	if (limit.allowed == UINT64_MAX || most <= held)
		return most ? most : 1;
	loan = held + (limit.allowed - held) / 4;
	if (loan < held + wanted)
		loan = held + wanted;
	return loan < most ? loan : most;
}

static unsigned long long mib(uint64_t blocks)
{
	return blocks << HSPAN_BLOCK_SHIFT >> 20;
}

/* A line of trace when it has changed by more than an eighth. */
static void tell(const struct hs_cgroup *cg)
{
	uint64_t old = limit.told, now = limit.better;
	bool small = old != UINT64_MAX && now <= old + old / 8 && now >= old - old / 8;

	if (!(hs.config.trace & HSPAN_TRACE_LIMIT) || old == now || small)
		return;
	limit.told = now;
	if (now == UINT64_MAX)
		hs_log("hugespan: no cgroup limits the heap any more\n");
	else
		hs_log("hugespan: a cgroup's limit of %llu MiB leaves the heap %llu MiB, "
		       "of which it holds %llu\n",
		       (unsigned long long)(cg->limit >> 20), mib(now), mib(blocks_held()));
}

/* Make what is known the law.  Lock held. */
static int settle(uint64_t wanted)
{
	uint64_t user = limit.user ? limit.user >> HSPAN_BLOCK_SHIFT : limit.own;
	uint64_t in_force = user < limit.better ? user : limit.better;
	uint64_t lent = lend(user < limit.allowed ? user : limit.allowed, wanted);
	bool for_goal = limit.user || in_force < user;
	int ret = 0;

	hs_set(&limit.in_force, in_force);
	if (lent != limit.lent) {
		hs_enter(); /* no thread is stopped in a backend's lock */
		ret = hs.backend->set_limit(lent);
		hs_leave();
		if (!ret)
			limit.lent = lent;
	}
	hs_pacer_set_limit(for_goal ? in_force << HSPAN_BLOCK_SHIFT : 0);
	return ret;
}

static int look(uint64_t wanted)
{
	struct hs_cgroup cg = { 0 };
	uint64_t before = limit.better;
	int ret;

	hs_set(&limit.looked, hs_now());
	ask_cgroup(&cg);
	tell(&cg);
	ret = settle(wanted);
	if (before == UINT64_MAX && hs_limit_counts())
		hs_watch_kick();
	return ret;
}

/* 0, or the backend's errno when it does not take the program's limit. */
int hs_limit_init(size_t user)
{
	limit.user = user;
	limit.own = hs.space.limit;
	limit.allowed = limit.better = limit.told = UINT64_MAX;
	limit.lent = limit.own;
	return look(1);
}

size_t hs_limit_set_user(size_t bytes)
{
	size_t old;

	pthread_mutex_lock(&limit.lock);
	old = limit.user;
	hs_set(&limit.user, bytes);
	settle(1);
	pthread_mutex_unlock(&limit.lock);
	return old;
}

/* Learn what the cgroup leaves; the last answer will do unless it must be @now. */
void hs_limit_look(bool now)
{
	if (!now && hs_now() - hs_load(&limit.looked) < LOOK_NS)
		return;
	pthread_mutex_lock(&limit.lock);
	look(1);
	pthread_mutex_unlock(&limit.lock);
}

/*
 * The backend refused: the limit is reached.  True if it was only that of the
 * loan, and there are now @blocks more.
 */
bool hs_limit_raise(uint64_t blocks)
{
	bool raised;

	if (!hs_limit_counts())
		return false;
	pthread_mutex_lock(&limit.lock);
	look(blocks);
	raised = limit.lent >= blocks_held() + blocks;
	pthread_mutex_unlock(&limit.lock);
	return raised;
}

/* Does a cgroup with a limit count what we take? */
bool hs_limit_counts(void)
{
	return hs_load(&limit.better) != UINT64_MAX;
}

/* Blocks that may be held. */
uint64_t hs_limit_blocks(void)
{
	return hs_load(&limit.in_force);
}

void hs_limit_stats(struct hspan_stats *stats)
{
	uint64_t user = hs_load(&limit.user), in_force = hs_load(&limit.in_force);

	stats->limit_from = HSPAN_LIMIT_NONE;
	if (hs_load(&limit.better) == in_force && in_force != UINT64_MAX)
		stats->limit_from = HSPAN_LIMIT_CGROUP;
	else if (user)
		stats->limit_from = HSPAN_LIMIT_PROGRAM;
	if (stats->limit_from != HSPAN_LIMIT_NONE)
		stats->limit = in_force << HSPAN_BLOCK_SHIFT;
}

// SPDX-License-Identifier: MIT
/*
 * Leaks through a root: what is reachable from a chosen one, and from nothing
 * else that the collector looks at.
 *
 * When a cycle has marked, the world is stopped and walked: first from all but
 * that root, then from it.  Who asks waits for that cycle.
 */
#include <errno.h>

#include "held.h"
#include "profile.h"
#include "stack.h"
#include "walk.h"

static void met(const struct hs_walk *w, const struct hs_object *o, uintptr_t word,
		uintptr_t where);

/**
 * struct held - a question, and the answer
 * @lock: held by who asks, until it has read the answer
 * @root: start of the root; 0: there is no question
 * @end: of it; 0: there is no such root
 * @result: 0 or a negative errno
 * @objects, @bytes: seen since they were last zero
 */
static struct {
	pthread_mutex_t lock;
	uintptr_t root;
	uintptr_t end;
	int result;
	struct hs_walk walk;
	uint64_t objects, bytes;
} held = { .lock = PTHREAD_MUTEX_INITIALIZER, .walk.found = met };

static void met(const struct hs_walk *w, const struct hs_object *o, uintptr_t word,
		uintptr_t where)
{
	(void)w, (void)word, (void)where;
	held.objects++;
	held.bytes += hs_object_size(o);
}

static void walk_other(uintptr_t lo, uintptr_t hi)
{
	if (lo == held.root)
		held.end = hi;
	else
		hs_walk_range(&held.walk, lo, hi);
}

static void walk_part(const struct hs_part *part)
{
	if (part->regs)
		hs_walk_range(&held.walk, (uintptr_t)part->regs,
			      (uintptr_t)(part->regs + HS_NSAVED));
	hs_walk_range(&held.walk, part->sp & ~7ul, part->hi);
}

static void walk_thread(const struct hs_thread *t)
{
	struct hs_part parts[HS_PARTS_MOST];
	unsigned int n = hs_stack_parts(t, parts);

	hs_walk_range(&held.walk, (uintptr_t)t->regs, (uintptr_t)(t->regs + HS_NREGS));
	for (unsigned int i = 0; i < n; i++)
		walk_part(&parts[i]);
}

static void clear_held(struct hs_site *site, void *arg)
{
	(void)arg;
	site->held = 0;
}

/* What was seen before counts less than nothing, so what is left is new. */
static void count_seen(struct hs_live *live, void *sign)
{
	struct hs_object o;

	if (hs_find(live->base, &o) && hs_walk_has_seen(&held.walk, &o))
		live->site->held += (uint64_t)*(const int *)sign;
}

static void look(void)
{
	int before = -1, after = 1;

	hs_profile_sites(clear_held, NULL);
	held.end = 0;
	hs_roots_each(walk_other);
	for (const struct hs_thread *t = hs.threads; t; t = t->next)
		walk_thread(t);
	hs_stacks_each(walk_part);
	if (!held.end)
		return;
	hs_profile_lives(count_seen, &before);
	held.objects = held.bytes = 0;
	hs_walk_range(&held.walk, held.root, held.end);
	hs_profile_lives(count_seen, &after);
}

void hs_held_look(void)
{
	if (!hs_load_acquire(&held.root))
		return;
	held.result = -ENOMEM;
	if (hs_walk_begin(&held.walk)) {
		hs_handshake(HS_STOP);
		look();
		hs_handshake_resume();
		hs_walk_end(&held.walk);
		held.result = held.end ? 0 : -ENOENT;
	}
	hs_set_release(&held.root, 0);
}

void hs_held_lock(void)
{
	hspan_thread_park();
	pthread_mutex_lock(&held.lock);
	hspan_thread_unpark();
}

void hs_held_unlock(void)
{
	pthread_mutex_unlock(&held.lock);
}

int hs_held_ask(const void *root, uint64_t *objects, uint64_t *bytes)
{
	hs_set_release(&held.root, (uintptr_t)root);
	hs_collect();
	*objects = held.objects;
	*bytes = held.bytes;
	return held.result;
}

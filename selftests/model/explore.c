// SPDX-License-Identifier: MIT
/* The explorer: a row of states that is also its queue, and a hash table into it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

#define FIRST_SLOTS (1u << 16)
#define NOBODY	    UINT32_MAX

/**
 * struct explore - one exploration
 * @state, @parent: by number, in the order of their discovery
 * @slot: number + 1 of the state that hashes here; @slots of them
 * @now: the state in hand
 * @wanted: while the way is told: the state whose step is looked for
 * @what: the step that led there
 */
struct explore {
	struct explore_state *state;
	uint32_t *parent;
	uint32_t *slot;
	uint32_t states, room, slots, now;
	const struct explore_state *wanted;
	const char *what;
	const char *wrong;
};

static void *grow(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n, size);
	if (!p) {
		fprintf(stderr, "explore: no memory for %zu states\n", n);
		exit(2);
	}
	return p;
}

static uint32_t hash(const struct explore_state *s)
{
	uint64_t h = 0;

	for (unsigned int i = 0; i < EXPLORE_BYTES / 8; i++) {
		h = (h ^ s->word[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return (uint32_t)(h >> 20);
}

/* The slot of @s, or the empty one where it belongs. */
static uint32_t *find(struct explore *x, const struct explore_state *s)
{
	uint32_t i = hash(s) & (x->slots - 1);

	while (x->slot[i] && memcmp(&x->state[x->slot[i] - 1], s, sizeof(*s)))
		i = (i + 1) & (x->slots - 1);
	return &x->slot[i];
}

static void grow_slots(struct explore *x)
{
	x->slots = x->slots ? 2 * x->slots : FIRST_SLOTS;
	x->slot = grow(x->slot, x->slots, sizeof(*x->slot));
	memset(x->slot, 0, x->slots * sizeof(*x->slot));
	for (uint32_t i = 0; i < x->states; i++)
		*find(x, &x->state[i]) = i + 1;
}

static void add(struct explore *x, const struct explore_state *s, uint32_t parent)
{
	uint32_t *slot;

	if (2 * x->states >= x->slots)
		grow_slots(x);
	slot = find(x, s);
	if (*slot)
		return;
	if (x->states == x->room) {
		x->room = x->room ? 2 * x->room : FIRST_SLOTS;
		x->state = grow(x->state, x->room, sizeof(*x->state));
		x->parent = grow(x->parent, x->room, sizeof(*x->parent));
	}
	x->state[x->states] = *s;
	x->parent[x->states] = parent;
	*slot = ++x->states;
}

void explore_step(struct explore *x, const struct explore_state *next, const char *what)
{
	if (!x->wanted)
		add(x, next, x->now);
	else if (!memcmp(x->wanted, next, sizeof(*next)))
		x->what = what;
}

void explore_wrong(struct explore *x, const char *why)
{
	if (!x->wrong)
		x->wrong = why;
}

/* Number of steps from the start; with @trace they are told, oldest first. */
static unsigned int tell(struct explore *x, const struct explore_model *m, uint32_t at, bool trace)
{
	struct explore_state s = x->state[at];
	unsigned int depth;

	if (x->parent[at] == NOBODY)
		return 0;
	depth = 1 + tell(x, m, x->parent[at], trace);
	if (trace) {
		x->wanted = &s;
		m->steps(&x->state[x->parent[at]], x);
		printf("# %3u %-44s ", depth, x->what);
		m->show(&s);
	}
	return depth;
}

struct explore_result explore(const struct explore_model *model, bool trace)
{
	struct explore_result r = {0};
	struct explore_state s = {{0}};
	struct explore x = {0};
	uint32_t last;

	model->first(&s);
	add(&x, &s, NOBODY);
	for (x.now = 0; x.now < x.states && !x.wrong; x.now++) {
		s = x.state[x.now]; /* the row may move */
		model->steps(&s, &x);
	}
	last = x.now - 1;
	r.states = x.states;
	r.wrong = x.wrong;
	r.depth = tell(&x, model, last, trace && x.wrong);
	free(x.state);
	free(x.parent);
	free(x.slot);
	return r;
}

// SPDX-License-Identifier: MIT
/*
 * States of the model: who reaches what, and one form for states that differ in
 * nothing that matters, as those would be the same search many times over.
 */
#include <string.h>

#include "model.h"

uint8_t *place(struct state *s, uint8_t to)
{
	return to == ROOT ? &s->root : &s->field[to - 1];
}

uint8_t locals_of(const struct mutator *m)
{
	uint8_t set = 0;

	for (int i = 0; i < setup.locals; i++)
		set |= BIT(m->local[i]);
	if (m->within == STORING)
		set |= BIT(m->to) | BIT(m->value);
	return set;
}

/* What the program can reach from its stacks and the root. */
uint8_t held(const struct state *s)
{
	uint8_t set = BIT(s->root);

	for (int i = 0; i < setup.mutators; i++)
		set |= locals_of(&s->mutator[i]);
	return set;
}

/* @set and what can be reached from it through objects of @within. */
uint8_t closure(const struct state *s, uint8_t set, uint8_t within)
{
	uint8_t old;

	do {
		old = set;
		for (uint8_t o = 1; o <= setup.objects; o++)
			if (set & within & BIT(o))
				set |= BIT(s->field[o - 1]);
	} while (set != old);
	return set;
}

static uint8_t grey(const struct state *s)
{
	uint8_t set = s->work | s->collector.chunk | s->helper.chunk | BIT(s->collector.scans) |
		      BIT(s->helper.scans);

	for (int i = 0; i < setup.mutators; i++)
		set |= s->mutator[i].noted;
	return set;
}

/* One form for states that differ only in the order of locals and mutators, */
static void sort(struct state *s)
{
	struct mutator first = s->mutator[0];

	for (int i = 0; i < setup.mutators; i++) {
		uint8_t *l = s->mutator[i].local, low = l[0];

		if (setup.locals > 1 && low > l[1]) {
			l[0] = l[1];
			l[1] = low;
		}
	}
	if (setup.mutators > 1 && memcmp(&first, &s->mutator[1], sizeof(first)) > 0) {
		s->mutator[0] = s->mutator[1];
		s->mutator[1] = first;
	}
}

static uint8_t rename_set(uint8_t set, const uint8_t *name)
{
	uint8_t renamed = 0;

	for (uint8_t o = 1; o <= setup.objects; o++)
		if (set & BIT(o))
			renamed |= BIT(name[o]);
	return renamed;
}

/* or in the names of objects, */
static void rename_all(struct state *s, const uint8_t *name)
{
	struct state n = *s;

	for (uint8_t o = 1; o <= setup.objects; o++)
		n.field[name[o] - 1] = name[s->field[o - 1]];
	n.root = name[s->root];
	n.weak = name[s->weak];
	n.allocated = rename_set(s->allocated, name);
	n.marked = rename_set(s->marked, name);
	n.work = rename_set(s->work, name);
	n.collector.scans = name[s->collector.scans];
	n.collector.chunk = rename_set(s->collector.chunk, name);
	n.helper.scans = name[s->helper.scans];
	n.helper.chunk = rename_set(s->helper.chunk, name);
	for (int i = 0; i < setup.mutators; i++) {
		struct mutator *m = &n.mutator[i];

		for (int l = 0; l < setup.locals; l++)
			m->local[l] = name[m->local[l]];
		m->noted = rename_set(m->noted, name);
		m->own = rename_set(m->own, name);
		m->to = name[m->to];
		m->value = name[m->value];
	}
	*s = n;
}

/* which are given in the order in which one comes upon them. */
static void rename_objects(struct state *s)
{
	uint8_t name[OBJECTS + 1] = {0}, next = 1;
	uint8_t order[1 + MUTATORS * LOCALS + OBJECTS] = {s->root};
	int n = 1;

	for (int i = 0; i < setup.mutators; i++)
		for (int l = 0; l < setup.locals; l++)
			order[n++] = s->mutator[i].local[l];
	for (uint8_t o = 1; o <= setup.objects; o++)
		order[n++] = o;
	for (int i = 0; i < n; i++)
		for (uint8_t o = order[i]; o && !name[o]; o = s->field[o - 1])
			name[o] = next++;
	rename_all(s, name);
}

/* What makes no difference any more is forgotten, lest it make states differ. */
static void forget_notes(struct state *s)
{
	uint8_t white = s->is & OPEN ? s->allocated & (uint8_t)~s->marked : 0xff;

	if (s->collector.at <= BARRIER)
		s->work = 0; /* hs_work_reset() */
	s->work &= white;
	s->collector.chunk &= white;
	s->helper.chunk &= white;
	for (int i = 0; i < setup.mutators; i++)
		s->mutator[i].noted &= s->mutator[i].is & SHADES ? white : 0;
	if (s->collector.at < LOOK)
		s->is &= (uint8_t)~PUSHED;
	if (s->collector.at != DRAIN)
		s->is &= (uint8_t)~GIVEN;
}

/*
 * What nobody can reach or come upon may be allocated anew at once: that is as
 * good as there being more objects.
 */
static void forget_garbage(struct state *s)
{
	uint8_t kept = held(s) | grey(s) | BIT(s->weak);

	for (int i = 0; i < setup.mutators; i++)
		kept |= BIT(s->mutator[i].value);
	kept = closure(s, kept, 0xff) & s->allocated;
	s->allocated = kept;
	s->marked &= kept;
	for (uint8_t o = 1; o <= setup.objects; o++)
		if (!(kept & BIT(o)))
			s->field[o - 1] = 0;
	for (int i = 0; i < setup.mutators; i++)
		s->mutator[i].own &= kept;
}

void step(struct explore *x, struct state s, const char *what)
{
	struct explore_state packed = {{0}};

	forget_notes(&s);
	forget_garbage(&s);
	sort(&s);
	rename_objects(&s);
	sort(&s);
	memcpy(&packed, &s, sizeof(s));
	explore_step(x, &packed, what);
}

/* Invariant W: white that can be reached hangs from something grey by white. */
void check_invariant(const struct state *s, struct explore *x)
{
	uint8_t white = s->allocated & (uint8_t)~s->marked;
	uint8_t safe = closure(s, grey(s) & white, white);

	for (uint8_t o = 1; o <= setup.objects; o++) /* the rest of those being scanned */
		if (s->collector.scans == o || s->helper.scans == o)
			safe = closure(s, safe | BIT(s->field[o - 1]), white);
	if (closure(s, held(s), 0xff) & white & (uint8_t)~safe)
		explore_wrong(x, "a reachable white object hangs from nothing grey");
}

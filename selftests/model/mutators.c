// SPDX-License-Identifier: MIT
/* What threads of the program do: in the model, all of it at any time. */
#include "model.h"

static void note(struct mutator *m, uint8_t old, uint8_t new)
{
	if (setup.without != DELETION)
		m->noted |= BIT(old);
	if (setup.without != INSERTION)
		m->noted |= BIT(new);
}

static void write(struct state *s, struct mutator *m, uint8_t to, uint8_t value)
{
	*place(s, to) = value;
	m->own &= (uint8_t)~closure(s, BIT(value), 0xff);
}

/* What is white, once marking is open, goes to the markers: hs_barrier_flush(). */
static bool flush(struct state *s, struct mutator *m)
{
	uint8_t given = m->noted;

	if (s->is & OPEN)
		given &= s->allocated & (uint8_t)~s->marked;
	m->noted = 0;
	s->work |= given;
	if (given)
		s->is |= PUSHED;
	return given;
}

/*
 * The exchange finds out what it overwrites.  That is noted after it, but in the
 * same critical section, so before anyone looks: which is one step.
 */
static void store(const struct state *s, int i, uint8_t to, uint8_t value, struct explore *x)
{
	struct state n = *s;
	struct mutator *m = &n.mutator[i];
	bool shading = m->is & SHADES && s->is & MARKING;
	uint8_t old = *place(&n, to);

	if (shading && setup.without == EXCHANGE) {
		note(m, old, value);
		m->within = STORING;
		m->to = to;
		m->value = value;
		step(x, n, "a store notes what it is to overwrite");
		return;
	}
	write(&n, m, to, value);
	if (shading)
		note(m, old, value);
	step(x, n, shading ? "hspan_store(): exchange and shade()" : "hspan_store()");
}

/* Where what is overwritten was read first. */
static void finish(const struct state *s, int i, struct explore *x)
{
	struct state n = *s;
	struct mutator *m = &n.mutator[i];

	write(&n, m, m->to, m->value);
	m->within = READY;
	m->to = m->value = 0;
	step(x, n, "the store");
}

static void set_local(const struct state *s, int i, int l, uint8_t value, const char *what,
		      struct explore *x)
{
	struct state n = *s;

	if (n.mutator[i].local[l] == value)
		return;
	n.mutator[i].local[l] = value;
	step(x, n, what);
}

/* The colour is the thread's, by take_run() or hs_cache_blacken(). */
static void allocate(const struct state *s, int i, int l, struct explore *x)
{
	struct state n = *s;
	struct mutator *m = &n.mutator[i];

	for (uint8_t o = 1; o <= setup.objects; o++) {
		if (n.allocated & BIT(o))
			continue;
		n.allocated |= BIT(o);
		n.marked &= (uint8_t)~BIT(o);
		if (m->is & BLACK)
			n.marked |= BIT(o);
		n.field[o - 1] = 0;
		m->own |= BIT(o);
		m->local[l] = o;
		step(x, n, "hspan_alloc()");
		return;
	}
}

/* By a plain store, over NULL, into what nobody else can reach. */
static void initialize(const struct state *s, int i, uint8_t to, uint8_t value, struct explore *x)
{
	struct state n = *s;

	if (!(n.mutator[i].own & BIT(to)) || n.field[to - 1] || !value)
		return;
	n.field[to - 1] = value;
	n.mutator[i].own &= (uint8_t)~BIT(to); /* over NULL no longer */
	step(x, n, "an initializing store");
}

static void stores(const struct state *s, int i, struct explore *x)
{
	const uint8_t *local = s->mutator[i].local;

	for (int v = -1; v < setup.locals; v++) {
		uint8_t value = v < 0 ? 0 : local[v];

		store(s, i, ROOT, value, x);
		for (int l = 0; l < setup.locals; l++) {
			if (!local[l])
				continue;
			store(s, i, local[l], value, x);
			initialize(s, i, local[l], value, x);
		}
	}
}

/* The reference is made, emptied, or looked at. */
static void weak_ref(const struct state *s, int i, struct explore *x)
{
	struct state n = *s;

	for (int l = 0; l < setup.locals; l++) {
		n.weak = s->mutator[i].local[l];
		step(x, n, "hspan_weak_set()");
	}
	if (!s->weak)
		return;
	n = *s;
	if (!(n.mutator[i].is & SHADES)) { /* its stack will be scanned */
		set_local(s, i, 0, s->weak, "hspan_weak_get(), not shading", x);
		return;
	}
	n.mutator[i].within = READING + s->word;
	n.mutator[i].value = s->weak;
	step(x, n, "hspan_weak_get(): look()");
}

/* hs_weak_touch(): false if it is too late */
static bool touch(struct state *s)
{
	if (setup.without == TOUCH)
		return true;
	if (s->word == OPENED)
		s->word = TOUCHED;
	return s->word == TOUCHED;
}

/* What comes of it: the object, or 0 where it is tried again or was dead. */
static uint8_t read_weak(struct state *s, struct mutator *m, uint8_t found)
{
	bool marked = s->marked & BIT(m->value);

	if (found == SETTLED)
		return m->value;
	if (found == CLOSED)
		return s->word == CLOSED && marked ? m->value : 0;
	if (s->is & OPEN && marked)
		return m->value;
	if (!touch(s))
		return 0;
	if (setup.without != SHADING)
		note(m, 0, m->value);
	return m->value;
}

static void finish_reading(const struct state *s, int i, struct explore *x)
{
	for (int l = 0; l < setup.locals; l++) {
		struct state n = *s;
		struct mutator *m = &n.mutator[i];
		uint8_t object = read_weak(&n, m, m->within - READING);

		if (object && !(n.allocated & BIT(object)))
			explore_wrong(x, "a weak reference leads to what is gone");
		m->local[l] = object;
		m->within = READY;
		m->value = 0;
		step(x, n, "hspan_weak_get(): keep() or judge()");
	}
}

/* What a conservative stack may hold besides: a stale word, or none. */
static void scan(const struct state *s, int i, struct explore *x)
{
	for (uint8_t stale = 0; stale <= setup.objects; stale++) {
		struct state n = *s;
		struct mutator *m = &n.mutator[i];

		n.work |= m->noted | locals_of(m) | BIT(stale);
		if (m->noted | locals_of(m) | BIT(stale))
			n.is |= PUSHED;
		m->noted = 0;
		m->is = SHADES | BLACK;
		step(x, n, "SCAN: hs_scan_thread(), hs_cache_blacken()");
	}
}

static void ack(const struct state *s, int i, struct explore *x)
{
	struct state n = *s;
	struct mutator *m = &n.mutator[i];

	switch (s->collector.at) {
	case BARRIER:
		m->noted = 0;
		m->is = SHADES;
		step(x, n, "BARRIER: hs_barrier_discard()");
		break;
	case SCAN:
	case ROOTS: /* where SCAN is not waited for */
	case MARK:
	case LOOK:
		scan(s, i, x);
		break;
	case DRAIN:
		if (flush(&n, m))
			n.is |= GIVEN;
		m->is &= (uint8_t)~ASKED;
		step(x, n, "DRAIN: hs_barrier_flush()");
		break;
	}
}

void mutate(const struct state *s, int i, struct explore *x)
{
	const struct mutator *m = &s->mutator[i];
	struct state n = *s;

	if (m->within != READY) {
		if (m->within == STORING)
			finish(s, i, x);
		else
			finish_reading(s, i, x);
		return;
	}
	if (m->is & ASKED)
		ack(s, i, x);
	for (int l = 0; l < setup.locals; l++) {
		set_local(s, i, l, 0, "a local is dropped", x);
		set_local(s, i, l, s->root, "the root is loaded", x);
		for (int from = 0; from < setup.locals; from++)
			if (m->local[from])
				set_local(s, i, l, s->field[m->local[from] - 1],
					  "a field is loaded", x);
		allocate(s, i, l, x);
	}
	stores(s, i, x);
	if (setup.weak)
		weak_ref(s, i, x);
	if (m->noted && flush(&n, &n.mutator[i]))
		step(x, n, "shade(): a full buffer, hs_barrier_flush()");
}

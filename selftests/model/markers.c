// SPDX-License-Identifier: MIT
/* What marks: the collector, which walks through the cycle, and its helper. */
#include "model.h"

/* An object, out of @from, is marked unless it is; it is read later. */
static void take(const struct state *s, bool helper, bool from_list, struct explore *x)
{
	for (uint8_t o = 1; o <= setup.objects; o++) {
		struct state n = *s;
		struct marker *m = helper ? &n.helper : &n.collector;
		uint8_t *from = from_list ? &n.work : &m->chunk;

		if (!(*from & BIT(o)))
			continue;
		*from &= (uint8_t)~BIT(o);
		if (n.allocated & (uint8_t)~n.marked & BIT(o)) {
			n.marked |= BIT(o);
			m->scans = o;
		}
		step(x, n, helper ? "help(): hs_mark()" : "hs_mark()");
	}
}

/* True while there is something to mark without looking at the list. */
static bool mark(const struct state *s, bool helper, struct explore *x)
{
	struct state n = *s;
	struct marker *m = helper ? &n.helper : &n.collector;

	if (m->scans) {
		m->chunk |= BIT(n.field[m->scans - 1]);
		m->scans = 0;
		step(x, n, helper ? "help(): scan()" : "scan()");
		return true;
	}
	if (!m->chunk)
		return false;
	take(s, helper, false, x);
	n.work |= m->chunk;
	m->chunk = 0;
	n.is |= PUSHED;
	step(x, n, helper ? "hs_mark_hand_back()" : "the collector shares");
	return true;
}

/* Counted in, as team.pending, before it takes; and out when it has nothing. */
void help(const struct state *s, struct explore *x)
{
	struct state n = *s;

	if (s->helper.at == OUT) {
		n.helper.at = IN;
		if (s->is & OPEN)
			step(x, n, "help(): hs_team_enter()");
		return;
	}
	if (mark(s, true, x))
		return;
	take(s, true, true, x);
	n.helper.at = OUT;
	step(x, n, "help(): hs_team_leave()");
}

static void ask(struct state *s, uint8_t what)
{
	s->collector.at = what;
	for (int i = 0; i < setup.mutators; i++)
		s->mutator[i].is |= ASKED;
}

static bool all_acked(const struct state *s)
{
	for (int i = 0; i < setup.mutators; i++)
		if (s->mutator[i].is & ASKED)
			return false;
	return true;
}

static bool nobody_active(const struct state *s)
{
	return s->helper.at == OUT || setup.without == ACTIVE;
}

/* With the list empty and nobody active; and then again: mark_to_the_end(). */
static void collector_marks(struct state n, struct explore *x)
{
	if (mark(&n, false, x))
		return;
	take(&n, false, true, x);
	if (n.work || !nobody_active(&n))
		return;
	n.collector.at = LOOK;
	n.is &= (uint8_t)~PUSHED;
	n.word = setup.weak ? OPENED : SETTLED;
	step(x, n, "hs_collector_drain() is over, hs_work_pushes()");
}

static void collector_looks(struct state n, struct explore *x)
{
	if (n.work || !nobody_active(&n)) {
		n.collector.at = MARK;
		step(x, n, "mark_to_the_end() goes on");
	} else if (setup.without == TERMINATION) {
		n.collector.at = CLOSE;
		step(x, n, "marking ends without DRAIN");
	} else {
		n.is &= (uint8_t)~GIVEN;
		ask(&n, DRAIN);
		step(x, n, "hs_handshake(HS_DRAIN)");
	}
}

static void collector_drained(struct state n, struct explore *x)
{
	bool pushed = n.is & PUSHED && setup.without != PUSHES;

	n.collector.at = n.is & GIVEN || pushed || n.work ? MARK : CLOSE;
	step(x, n, "DRAIN is over");
}

static void collector_closes(struct state n, struct explore *x)
{
	bool closed = n.word == OPENED || !setup.weak || setup.without == TERMINATION;

	n.collector.at = closed ? CLEAR : MARK;
	if (closed && setup.weak)
		n.word = CLOSED;
	step(x, n, "hs_weak_close()");
}

static void collector_clears(struct state n, struct explore *x)
{
	if (BIT(n.weak) & (uint8_t)~n.marked)
		n.weak = 0;
	n.word = SETTLED;
	n.collector.at = DONE;
	step(x, n, "hs_final_settle()");
}

/* close_marking(), the move of sweepgen, the sweep: white is free. */
static void collector_ends(struct state n, struct explore *x)
{
	uint8_t reached = closure(&n, held(&n), 0xff);

	if (n.helper.at != OUT)
		return;
	if (reached & (uint8_t)~n.marked)
		explore_wrong(x, "a reachable object is white when marking ends");
	n.allocated &= n.marked;
	n.marked = 0;
	n.is = 0;
	n.collector.at = IDLE;
	for (int i = 0; i < setup.mutators; i++)
		n.mutator[i].is = 0; /* it goes on shading: that is thrown away at BARRIER */
	step(x, n, "close_marking(), move_sweepgen(), sweep()");
}

void collect(const struct state *s, struct explore *x)
{
	struct state n = *s;

	switch (s->collector.at) {
	case IDLE:
		n.is = MARKING;
		ask(&n, setup.without == WAIT ? SCAN : BARRIER);
		step(x, n, "hs.marking = true, hs_handshake()");
		break;
	case BARRIER:
		n.work = 0; /* hs_work_reset() */
		n.word = setup.weak ? OPENED : SETTLED;
		ask(&n, SCAN);
		if (all_acked(s))
			step(x, n, "hs_handshake(HS_SCAN)");
		break;
	case SCAN:
		n.is |= OPEN;
		n.collector.at = ROOTS;
		if (all_acked(s) || setup.without == WAIT_SCAN)
			step(x, n, "open_marking()");
		break;
	case ROOTS:
		n.work |= BIT(n.root);
		n.collector.at = MARK;
		step(x, n, "hs_roots_scan()");
		break;
	case MARK:
		collector_marks(n, x);
		break;
	case LOOK:
		if (all_acked(s)) /* SCAN's, where that was not waited for */
			collector_looks(n, x);
		break;
	case DRAIN:
		if (all_acked(s))
			collector_drained(n, x);
		break;
	case CLOSE:
		collector_closes(n, x);
		break;
	case CLEAR:
		collector_clears(n, x);
		break;
	default:
		collector_ends(n, x);
	}
}

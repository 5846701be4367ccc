// SPDX-License-Identifier: MIT
/*
 * The pacer's arithmetic: from what the last cycles were like, when the next
 * one begins, what it may end at, and who has to help.
 *
 *	own     = marked + (marked + roots) * percent / 100, at least min_heap
 *	goal    = the highest own of late, but at least heap + (own - marked) / 16,
 *	          at most what the limit leaves
 *	trigger = goal - cons * work * 9/8, between 1/8 and 15/16 of the way there
 *
 * What was allocated while the last cycle marked is in heap and not in marked:
 * it is in the way until the next cycle judges it, but gives no right to grow.
 */
#include "pace.h"

#define NEVER UINT64_MAX
#define HOLD_NS 2000000000ull /* for which an old goal is still due, */
#define HALF_NS 500000000ull  /* and the time in which what it exceeds ours by then halves */
#define CAP_NS 1000000000ull /* of each CPU that collecting may take beyond half */
#define SHARE_LEAST (8u << 10)
#define SHARE_MOST (32u << 10) /* of marking in one refill: some 50 us where nothing is cached */

static uint64_t between(uint64_t lo, uint64_t x, uint64_t hi)
{
	if (x > hi)
		x = hi;
	return x < lo ? lo : x;
}

static uint64_t share_of(uint64_t x, unsigned int percent)
{
	return x / 100 * percent + x % 100 * percent / 100;
}

/* What the percent alone makes of it. */
static uint64_t own_goal(const struct hs_pace *p, const struct hs_pace_rules *r)
{
	uint64_t goal;

	if (r->percent < 0)
		return NEVER;
	goal = p->marked + share_of(p->marked + p->roots, (unsigned int)r->percent >> r->pressure);
	return goal < r->min_heap ? r->min_heap : goal;
}

/* Memory that was ours a moment ago, and was not asked back, may be used. */
static uint64_t with_reserve(struct hs_pace *p, uint64_t own, unsigned int pressure, uint64_t now)
{
	uint64_t age, halvings;

	if (own >= p->reserve || pressure) {
		p->reserve = own;
		p->reserve_at = now;
		return own;
	}
	age = now > p->reserve_at ? now - p->reserve_at : 0;
	if (age <= HOLD_NS)
		return p->reserve;
	halvings = (age - HOLD_NS) / HALF_NS + 1;
	return own + (halvings > 20 ? 0 : (p->reserve - own) >> halvings);
}

/* Objects that fit below the limit: spans are never quite full. */
static uint64_t limit_goal(const struct hs_pace_rules *r)
{
	uint64_t slack = r->slack / 2;

	if (!r->limit)
		return NEVER;
	if (slack < r->limit / 16)
		slack = r->limit / 16;
	return slack < r->limit ? r->limit - slack : 0;
}

static uint64_t trigger_for(const struct hs_pace *p, uint64_t min_heap)
{
	uint64_t room = p->goal - p->heap;
	uint64_t need = (uint64_t)(p->cons * (double)p->work * 9 / 8);
	uint64_t first = p->heap + room / 8, last = p->goal - room / 16;

	if (first < min_heap / 8 * 7)
		first = min_heap / 8 * 7;
	return between(first < last ? first : last, p->goal > need ? p->goal - need : 0, last);
}

static void plan(struct hs_pace *p, const struct hs_pace_rules *r, uint64_t now)
{
	uint64_t own = own_goal(p, r), most = limit_goal(r), least;

	if (own == NEVER && most == NEVER) {
		p->goal = p->trigger = p->ceiling = NEVER;
		return;
	}
	p->goal = own;
	if (own != NEVER) {
		least = p->heap + between(r->min_heap / 4, (own - p->marked) / 16, own);
		p->goal = with_reserve(p, own, r->pressure, now);
		if (p->goal < least)
			p->goal = least;
	}
	if (p->goal > most)
		p->goal = most;
	if (p->goal < p->heap + p->heap / 20) /* over the limit: slow, but not for ever collecting */
		p->goal = p->heap + p->heap / 20;
	p->trigger = trigger_for(p, r->min_heap);
	p->ceiling = !r->limit		 ? NEVER :
		     p->goal < r->limit ? p->goal + (r->limit - p->goal) / 2 :
					  p->goal;
}

void hs_pace_init(struct hs_pace *p, const struct hs_pace_rules *r)
{
	*p = (struct hs_pace){ .cons = 1 };
	plan(p, r, 0);
}

/*
 * What mutators would have allocated for each byte marked if the markers alone
 * had marked: a late trigger costs time, an early one a little memory, so it
 * rises at once and falls slowly.
 */
static double measure_cons(double old, const struct hs_pace_cycle *c)
{
	double ran = 1, marked = (double)(c->marked - c->assisted), cons;

	if (c->ns && c->mutators)
		ran -= (double)c->stalled_ns / ((double)c->ns * c->mutators);
	if (ran < 0.125)
		ran = 0.125;
	if (marked < (double)c->marked / 8 + 1)
		marked = (double)c->marked / 8 + 1;
	cons = (double)c->allocated / ran / marked;
	if (cons > 64)
		cons = 64;
	return cons > old ? cons : old - (old - cons) / 4;
}

void hs_pace_cycle_done(struct hs_pace *p, const struct hs_pace_rules *r,
			const struct hs_pace_cycle *c)
{
	p->cons = measure_cons(p->cons, c);
	p->work -= p->work / 8;
	if (p->work < c->marked)
		p->work = c->marked;
	p->marked = c->marked;
	p->roots = c->roots;
	p->heap = c->marked + c->black;
	plan(p, r, c->now);
}

void hs_pace_change(struct hs_pace *p, const struct hs_pace_rules *r, uint64_t now, bool afresh)
{
	if (afresh)
		p->reserve = 0;
	plan(p, r, now);
}

/* The work expected, and when that is done, the most there can be. */
static uint64_t work_from(const struct hs_pace *p, uint64_t start, uint64_t done)
{
	uint64_t work = p->work + p->work / 8;

	return done < work && work < start ? work : start;
}

uint64_t hs_pace_behind(const struct hs_pace *p, uint64_t start, uint64_t heap, uint64_t done)
{
	uint64_t work = work_from(p, start, done);
	double way;

	if (p->goal == NEVER || heap <= start)
		return 0;
	way = heap < p->goal ? (double)(heap - start) / (double)(p->goal - start) : 1;
	way *= (double)work;
	return way > (double)done ? (uint64_t)way - done : 0;
}

uint64_t hs_pace_share(const struct hs_pace *p, uint64_t start, uint64_t behind, uint64_t bytes)
{
	uint64_t room = p->goal > start ? p->goal - start : 1;
	double ratio = (double)work_from(p, start, 0) / (double)room;
	double share = 2 * ratio * (double)bytes;
	uint64_t most = share < SHARE_MOST ? (uint64_t)share : SHARE_MOST;

	return between(SHARE_LEAST, behind, most);
}

bool hs_pace_is_capped(struct hs_pace_cap *c, uint64_t now, unsigned int cpus, uint64_t spent)
{
	uint64_t half = (now - c->at) * cpus / 2, most = CAP_NS * cpus;

	c->at = now;
	if (spent > half)
		c->over = between(0, c->over + (spent - half), most);
	else
		c->over -= between(0, half - spent, c->over);
	return c->over == most;
}

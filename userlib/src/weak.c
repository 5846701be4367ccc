// SPDX-License-Identifier: MIT
/*
 * Weak references and ephemerons.
 *
 * A weak reference holds its pointer complemented, so no scan takes it for one.
 * To read it while marking goes on is to load a white object that nothing need
 * protect: so the reader shades it.  Marking then ends, without anybody being
 * stopped, by one word that readers and the collector compete for:
 *
 *	OPEN	a reader of a white object makes it TOUCHED, and shades; the
 *		collector sets it before each DRAIN
 *	TOUCHED	somebody did, since then; readers shade
 *	CLOSED	the collector changed OPEN to it, after a DRAIN that brought
 *		nothing: who is white now is dead, and readers are told so
 *	REVIVED	short references to the dead are cleared; what finalizers reach is
 *		being marked, and no mutator may see it before all of it is: who
 *		reads a long reference to some of it waits
 *	SETTLED	the rest are cleared; readers need not look at anything, until all
 *		have acked the next BARRIER
 *
 * Why no white object comes alive behind CLOSED: a reader in a critical section
 * begun before its thread's ack of the last DRAIN had its shading drained by it,
 * so the object was marked.  One begun later sees OPEN, and its change to TOUCHED
 * comes before that to CLOSED, which then fails; or after it, and fails itself.
 * Or it sees TOUCHED, and CLOSED fails; or CLOSED.  A reader may be held up from one
 * OPEN through SETTLED and the sweep, but not to the next OPEN, as that waits for
 * all to ack BARRIER: so a change from OPEN that succeeds is one of the same cycle.
 */
#include <errno.h>
#include <limits.h>

#include "bits.h"
#include "final.h"
#include "specials.h"
#include "work.h"

#define WAIT_NS 1000000

enum { SETTLED, OPEN, TOUCHED, CLOSED, REVIVED };

static int state;

static int look(void)
{
	return __atomic_load_n(&state, __ATOMIC_SEQ_CST);
}

static void change(int to)
{
	__atomic_store_n(&state, to, __ATOMIC_SEQ_CST);
}

static bool change_from(int from, int to)
{
	return __atomic_compare_exchange_n(&state, &from, to, 0, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

void hs_weak_open(void)
{
	change(OPEN);
}

/*
 * In a critical section: what is white may come alive, and will be shaded in the
 * same section.  False if it is too late.
 */
bool hs_weak_touch(void)
{
	return change_from(OPEN, TOUCHED) || look() == TOUCHED;
}

bool hs_weak_is_settled(void)
{
	return look() == SETTLED;
}

bool hs_weak_close(void)
{
	return change_from(OPEN, CLOSED);
}

void hs_weak_revive(void)
{
	change(REVIVED);
}

void hs_weak_settled(void)
{
	change(SETTLED);
	hs_futex_wake(&state, INT_MAX);
}

/* Weak references ---------------------------------------------------------- */

/* Who registers another's word may have a plain pointer there. */
static uintptr_t reveal(uintptr_t word)
{
	return !word || hs_in_heap(word) ? word : ~word;
}

/* What came of an attempt to read. */
enum outcome { READ, AGAIN, WAIT };

/* The reference is to a white object, or was a moment ago. */
static enum outcome doubt(const struct hspan_weak *weak, bool white, uintptr_t *p)
{
	const struct hs_special *e;
	enum outcome outcome = READ;

	hs_specials_lock();
	e = hs_special_find(HS_WEAK, (uintptr_t)weak);
	if (!e || e->object != *p)
		outcome = e ? AGAIN : WAIT; /* it was set or cleared meanwhile */
	else if (e->kind == HS_WEAK_LONG && (white || e->doubtful))
		outcome = WAIT;
	else if (white)
		*p = 0;
	hs_specials_unlock();
	return outcome;
}

/* Not if it is swept by now: the word tells that next. */
static bool is_marked(uintptr_t p)
{
	struct hs_object o;

	return hs_collector_marks() && hs_find(p, &o) && hs_is_marked(&o);
}

/* Marking goes on: @p is kept by its being read. */
static enum outcome keep(struct hs_thread *t, uintptr_t p)
{
	if (!t->barrier || is_marked(p))
		return READ; /* the stack will be scanned; or nothing is to be done */
	if (!hs_weak_touch())
		return AGAIN;
	hs_barrier_shade(t, 0, p);
	return READ;
}

/* Marks are final, as long as the word is CLOSED: hence an exchange, not a look. */
static enum outcome judge(const struct hspan_weak *weak, uintptr_t *p)
{
	bool alive = hs_special_alive(*p);

	if (!change_from(CLOSED, CLOSED))
		return AGAIN;
	return alive ? READ : doubt(weak, true, p);
}

/* In a critical section. */
static __attribute__((noinline)) enum outcome read_weak(struct hs_thread *t,
							const struct hspan_weak *weak, uintptr_t *p)
{
	int now = look();

	*p = reveal(__atomic_load_n(&weak->hidden, __ATOMIC_ACQUIRE));
	if (!*p || now == SETTLED)
		return READ;
	if (now == CLOSED)
		return judge(weak, p);
	return now == REVIVED ? doubt(weak, false, p) : keep(t, *p);
}

void hs_weak_wait(void)
{
	int now = look();

	hspan_thread_park();
	if (now == CLOSED || now == REVIVED)
		hs_futex_wait(&state, now, WAIT_NS);
	hspan_thread_unpark();
}

HS_EXPORT void *hspan_weak_get(const struct hspan_weak *weak)
{
	struct hs_thread *t;
	enum outcome outcome;
	uintptr_t p;

	if (hs.forked)
		return (void *)reveal(hs_load(&weak->hidden));
	t = hs_thread_join();
	if (!t)
		return NULL;
	do {
		hs_begin_slow();
		hs_enter();
		outcome = read_weak(t, weak, &p);
		hs_leave();
		hs_end_slow();
		if (outcome != READ)
			p = 0; /* for the oracle: it is not what the program has */
		if (outcome == WAIT)
			hs_weak_wait();
	} while (outcome != READ);
	return (void *)p;
}

/* Under the lock. */
static __attribute__((noinline)) int set_weak(struct hspan_weak *weak, void *object,
					      unsigned int flags)
{
	struct hs_special *e = hs_special_find(HS_WEAK, (uintptr_t)weak);
	struct hs_special new = {.object = (uintptr_t)object,
				 .arg = (uintptr_t)weak,
				 .kind = flags & HSPAN_WEAK_LONG ? HS_WEAK_LONG : HS_WEAK};

	if (e)
		hs_special_remove(e);
	if (object && !hs_special_add(&new))
		return -ENOMEM;
	if (!(flags & HSPAN_WEAK_FOREIGN))
		__atomic_store_n(&weak->hidden, object ? ~(uintptr_t)object : 0, __ATOMIC_RELEASE);
	return 0;
}

HS_EXPORT int hspan_weak_set(struct hspan_weak *weak, void *object, unsigned int flags)
{
	int ret = hs_special_begin(object);

	if (ret || flags & ~(HSPAN_WEAK_LONG | HSPAN_WEAK_FOREIGN)) {
		if (!ret)
			hs_special_end();
		return ret ? ret : -EINVAL;
	}
	ret = set_weak(weak, object, flags);
	hs_special_end();
	return ret;
}

static void clear(struct hs_special *e)
{
	uintptr_t *word = &((struct hspan_weak *)e->arg)->hidden;
	uintptr_t hidden = ~e->object, plain = e->object;

	if (!__atomic_compare_exchange_n(word, &hidden, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		__atomic_compare_exchange_n(word, &plain, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	hs_special_remove(e);
}

/* Of dead objects; in dead objects they stay, for those may come back. */
void hs_weak_clear_short(struct hs_special *e, void *arg)
{
	(void)arg;
	if (e->kind != HS_WEAK && e->kind != HS_WEAK_LONG)
		return;
	e->doubtful = !hs_special_alive(e->object);
	if (e->doubtful && e->kind == HS_WEAK)
		clear(e);
}

/* Nothing comes back any more. */
void hs_weak_clear_rest(struct hs_special *e, void *arg)
{
	(void)arg;
	if (e->kind == HS_EPHEMERON) {
		if (!hs_special_alive(e->object) || !hs_special_alive(e->arg))
			hs_special_remove(e);
	} else if (e->kind == HS_WEAK || e->kind == HS_WEAK_LONG) {
		if (!hs_special_alive(e->arg))
			hs_special_remove(e); /* the reference itself is garbage */
		else if (!hs_special_alive(e->object))
			clear(e);
		else
			e->doubtful = false;
	}
}

/* Ephemerons --------------------------------------------------------------- */

static struct hs_special *find_ephemeron(const void *table, const void *key)
{
	struct hs_special *e = hs_special_find(HS_EPHEMERON, (uintptr_t)key);

	while (e && e->arg != (uintptr_t)table)
		e = hs_special_next(e);
	return e;
}

/* Under the lock. */
static __attribute__((noinline)) int set_ephemeron(void *table, void *key, void *value)
{
	struct hs_special *e = find_ephemeron(table, key);
	struct hs_special new = {.object = (uintptr_t)key,
				 .arg = (uintptr_t)table,
				 .value = (uintptr_t)value,
				 .kind = HS_EPHEMERON};

	if (!e && value && !hs_special_add(&new))
		return -ENOMEM;
	hs_barrier_shade(hs_tls.self, e ? e->value : 0, (uintptr_t)value);
	if (e && value)
		e->value = (uintptr_t)value;
	else if (e)
		hs_special_remove(e);
	return 0;
}

HS_EXPORT int hspan_ephemeron_set(void *table, void *key, void *value)
{
	int ret = hs_special_begin(key);

	if (ret)
		return ret;
	ret = !key || !hspan_base(table) ? -EINVAL : set_ephemeron(table, key, value);
	hs_special_end();
	return ret;
}

/* What it returns lives as long as its caller has table and key; and longer. */
HS_EXPORT void *hspan_ephemeron_get(const void *table, const void *key)
{
	const struct hs_special *e;
	void *value = NULL;

	if (!hs_specials_exist() || hs_special_begin(NULL))
		return NULL;
	e = find_ephemeron(table, key);
	if (e) {
		value = (void *)e->value;
		hs_barrier_shade(hs_tls.self, 0, e->value);
	}
	hs_special_end();
	return value;
}

static void push_value(struct hs_special *e, void *chunk)
{
	if (e->kind == HS_EPHEMERON && hs_in_heap(e->value) && hs_special_alive(e->object) &&
	    hs_special_alive(e->arg) && !hs_special_alive(e->value))
		hs_chunk_add(chunk, e->value);
}

/* Those whose table and key are marked; until no value is found that was not. */
bool hs_ephemerons_mark(struct hs_marker *m)
{
	bool any = false, more;

	if (!hs_specials_exist())
		return false;
	do {
		struct hs_chunk *chunk = NULL;
		uint32_t at = 0;
		bool left;

		more = false;
		do {
			left = hs_specials_some(&at, push_value, &chunk);
			if (chunk) {
				hs_work_push(chunk);
				hs_collector_drain(m);
				chunk = NULL;
				more = any = true;
			}
		} while (left);
	} while (more);
	return any;
}

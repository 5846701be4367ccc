// SPDX-License-Identifier: MIT
/*
 * Stacks for coroutines: their memory, who runs on which, and their scan; why
 * that is right is said in stack.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pacer.h"
#include "stack.h"
#include "work.h"

#define PAGE	     4096ul
#define GUARD	     (16 * PAGE) /* a frame may be larger than a page */
#define SIZE_LEAST   (4 * PAGE)
#define SIZE_DEFAULT (256ul << 10)
#define IDLE_CYCLES  2 /* not run on: its dead part goes */

enum { HS_SUSPENDED, HS_TAKEN, HS_IN_USE };

/**
 * struct hspan_stack - a stack
 * @lo, @hi: its ends; the guard is below @lo
 * @state: suspended; in use by a thread that runs on it; or taken, for a moment
 * @scanned: the generation in which who ran on it last, or the collector, was
 *	black
 * @ran: it was run on since the last cycle
 * @idle: cycles since then
 * @at: where it was left
 * @next, @prev: the list of stacks (stacks.lock)
 */
struct hspan_stack {
	uintptr_t lo, hi;
	int state;
	uint32_t scanned;
	bool ran;
	unsigned int idle;
	struct hs_suspended at;
	struct hspan_stack *next, *prev;
};

/*
 * All stacks.  @lock is held by threads in critical sections only, and by the
 * collector while it waits for nobody; @cursor is what it looks at next.
 */
static struct {
	pthread_mutex_t lock;
	struct hspan_stack *all, *cursor;
} stacks = {.lock = PTHREAD_MUTEX_INITIALIZER};

void hs_stacks_lock(void)
{
	hs_enter();
	pthread_mutex_lock(&stacks.lock);
}

void hs_stacks_unlock(void)
{
	pthread_mutex_unlock(&stacks.lock);
	hs_leave();
}

/* Nothing on it is alive. */
static void make_empty(struct hspan_stack *s)
{
	memset(&s->at, 0, sizeof(s->at));
	s->at.sp = s->hi;
}

/* It becomes @state, if it is suspended: 0, or -EBUSY. */
static int take(struct hspan_stack *s, int state)
{
	int found = HS_SUSPENDED;

	while (!__atomic_compare_exchange_n(&s->state, &found, state, 0, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		if (found == HS_IN_USE)
			return -EBUSY;
		hs_futex_wait(&s->state, HS_TAKEN, 0);
		found = HS_SUSPENDED;
	}
	return 0;
}

static void give_back(struct hspan_stack *s)
{
	if (__atomic_exchange_n(&s->state, HS_SUSPENDED, __ATOMIC_RELEASE) == HS_TAKEN)
		hs_futex_wake(&s->state, 1 << 30);
}

/* What is alive --------------------------------------------------------------- */

static bool is_on(uintptr_t sp, uintptr_t lo, uintptr_t hi)
{
	return sp - lo < hi - lo;
}

/* The lower end of the stack of @t's that @sp is on; 0 if there is none. */
uintptr_t hs_stack_floor(const struct hs_thread *t, uintptr_t sp)
{
	const struct hspan_stack *s = t->stack;

	if (is_on(sp, t->stack_lo, t->stack_hi))
		return t->stack_lo;
	if (s && is_on(sp, s->lo, s->hi))
		return s->lo;
	return is_on(sp, t->left_lo, t->left_hi) ? t->left_lo : 0;
}

static struct hs_part part_of(const struct hspan_stack *s)
{
	return (struct hs_part){s->lo, s->at.sp, s->hi, s->at.regs};
}

/*
 * The stacks that @t has to answer for: its own, and the one it runs on.  That
 * which it has just left, and may still stand on, is no longer among them.
 */
unsigned int hs_stack_parts(const struct hs_thread *t, struct hs_part *parts)
{
	const struct hspan_stack *s = t->stack;
	unsigned int n = 0;

	if (is_on(t->sp, t->stack_lo, t->stack_hi))
		parts[n++] = (struct hs_part){t->stack_lo, t->sp, t->stack_hi, NULL};
	else if (s || is_on(t->sp, t->left_lo, t->left_hi))
		parts[n++] = (struct hs_part){t->stack_lo, t->own.sp, t->stack_hi, t->own.regs};
	if (!s)
		return n;
	parts[n] = part_of(s);
	if (is_on(t->sp, s->lo, s->hi)) {
		parts[n].sp = t->sp;
		parts[n].regs = NULL;
	}
	return n + 1;
}

/*
 * (checkmark) Of a suspended stack the dead part is scanned as well, as far as
 * words in it may come to be taken for new ones when frames are put over them.
 * To clear it is not ours: somebody may just be leaving it.
 */
static uintptr_t scan_from(const struct hs_part *part)
{
	size_t room = part->sp - part->lo;

	if (!part->regs)
		return hs_scan_from(part->sp, part->lo);
	if (likely(!(hs.config.debug & HSPAN_DEBUG_CHECKMARK)))
		return part->sp & ~7ul;
	return (part->sp - (room < HS_SCRUB_BYTES ? room : HS_SCRUB_BYTES)) & ~7ul;
}

static void shade_part(struct hs_chunk **chunk, const struct hs_part *part)
{
	if (part->regs)
		hs_shade_words(chunk, (uintptr_t)part->regs, (uintptr_t)(part->regs + HS_NSAVED));
	hs_shade_words(chunk, scan_from(part), part->hi);
	hs_pacer_roots(part->hi - part->sp);
}

/* Does it still stand on what it has left? */
void hs_stack_look(struct hs_thread *t)
{
	if (!is_on(t->sp, t->left_lo, t->left_hi))
		hs_set(&t->left_lo, 0);
}

/* Grey all that is on @t's stacks. */
void hs_stacks_shade(struct hs_thread *t)
{
	struct hs_part parts[HS_PARTS_MOST];
	unsigned int n = hs_stack_parts(t, parts);

	for (unsigned int i = 0; i < n; i++)
		shade_part(&t->shaded, &parts[i]);
}

/* A snapshot's mark phase asks nothing of threads. */
static bool is_black(const struct hs_thread *t)
{
	return hs_load(&hs.marking) && t->barrier && t->black_gen == hs_sweepgen();
}

/* The collector's way over all ------------------------------------------------ */

/* Call @fn for each stack that nobody runs on; it is taken meanwhile. */
static void each_suspended(void (*fn)(struct hspan_stack *s, void *arg), void *arg)
{
	struct hspan_stack *s;
	int found;

	pthread_mutex_lock(&stacks.lock);
	stacks.cursor = stacks.all;
	while ((s = stacks.cursor)) {
		stacks.cursor = s->next;
		found = HS_SUSPENDED;
		if (!__atomic_compare_exchange_n(&s->state, &found, HS_TAKEN, 0, __ATOMIC_ACQUIRE,
						 __ATOMIC_RELAXED))
			continue;
		pthread_mutex_unlock(&stacks.lock);
		fn(s, arg);
		give_back(s);
		pthread_mutex_lock(&stacks.lock);
	}
	pthread_mutex_unlock(&stacks.lock);
}

static void scan(struct hspan_stack *s, void *chunk)
{
	struct hs_part part = part_of(s);

	if (s->scanned == hs_sweepgen() && hs.config.gc_mode == HSPAN_GC_BARRIER)
		return;
	shade_part(chunk, &part);
	s->scanned = hs_sweepgen();
}

/* Grey what is on suspended stacks.  Every thread has acked SCAN, or is stopped. */
void hs_stacks_scan(void)
{
	struct hs_chunk *chunk = NULL;

	each_suspended(scan, &chunk);
	if (chunk)
		hs_work_push(chunk);
}

/* May a thread still stand on it, having called hspan_stack_switch()? */
static bool is_left(const struct hspan_stack *s)
{
	bool is = false;

	pthread_mutex_lock(&hs.threads_lock);
	for (struct hs_thread *t = hs.threads; t && !is; t = t->next)
		is = hs_load(&t->left_lo) == s->lo;
	pthread_mutex_unlock(&hs.threads_lock);
	return is;
}

/*
 * The dead part of a stack that is not run on goes back to the system, but for
 * a page and the rest of one, which the program's switch may have used.
 */
static void trim(struct hspan_stack *s, void *arg)
{
	uintptr_t end = s->at.sp == s->hi ? s->hi : (s->at.sp & ~(PAGE - 1)) - PAGE;

	(void)arg;
	s->idle = s->ran ? 0 : s->idle + 1;
	s->ran = false;
	if (s->idle != IDLE_CYCLES || end <= s->lo)
		return;
	if (is_left(s))
		s->idle--; /* the next time */
	else
		madvise((void *)s->lo, end - s->lo, MADV_DONTNEED);
}

/* A cycle is over. */
void hs_stacks_trim(void)
{
	each_suspended(trim, NULL);
}

static void call_for(struct hspan_stack *s, void *fn)
{
	struct hs_part part = part_of(s);

	(*(void (**)(const struct hs_part *part))fn)(&part);
}

/* For the oracle: call @fn for each suspended stack. */
void hs_stacks_each(void (*fn)(const struct hs_part *part))
{
	each_suspended(call_for, &fn);
}

/* The heap is gone, and generations are counted anew; stacks stay. */
void hs_stacks_reset(void)
{
	for (struct hspan_stack *s = stacks.all; s; s = s->next)
		s->scanned = 0;
}

/* Switching ------------------------------------------------------------------- */

static void leave(struct hs_thread *t, const uintptr_t *saved, size_t n)
{
	struct hspan_stack *s = t->stack;
	struct hs_suspended *at = s ? &s->at : &t->own;

	memcpy(at->regs, saved, n * sizeof(*saved));
	at->sp = (uintptr_t)saved;
	hs_set(&t->left_lo, s ? s->lo : 0);
	t->left_hi = s ? s->hi : 0;
	if (!s)
		return;
	s->scanned = t->black_gen;
	s->ran = true;
	give_back(s);
}

static void arrive(struct hs_thread *t, struct hspan_stack *to)
{
	struct hs_part part;

	t->stack = to;
	if (!to || !is_black(t) || to->scanned == t->black_gen)
		return;
	part = part_of(to);
	shade_part(&t->shaded, &part);
}

/*
 * The C half of hspan_stack_switch(): @saved is the caller's callee-saved
 * registers, on the stack.  All of the caller's frame is above it.
 */
int hs_stack_switch(const uintptr_t *saved, size_t n, struct hspan_stack *to)
{
	struct hs_thread *t;
	int ret;

	if (unlikely(hs.forked))
		return 0; /* nobody scans any more */
	t = hs_thread_join();
	if (!t)
		return -errno;
	if (t->stack == to)
		return 0;
	hs_enter();
	ret = to ? take(to, HS_IN_USE) : 0;
	if (!ret) {
		leave(t, saved, n);
		arrive(t, to);
	}
	hs_leave();
	return ret;
}

/* A thread ends that is not on its own stack: what it had there is lost. */
void hs_stack_abandon(struct hs_thread *t)
{
	if (!t->stack)
		return;
	make_empty(t->stack);
	t->stack->scanned = 0;
	give_back(t->stack);
	t->stack = NULL;
}

/* Their memory ---------------------------------------------------------------- */

static bool map_stack(struct hspan_stack *s, size_t size)
{
	char *p = mmap(NULL, size + GUARD, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (p == MAP_FAILED)
		return false;
	if (mprotect(p, GUARD, PROT_NONE)) {
		munmap(p, size + GUARD);
		return false;
	}
	madvise(p + GUARD, size, MADV_NOHUGEPAGE); /* a page at a time, as it grows */
	s->lo = (uintptr_t)p + GUARD;
	s->hi = s->lo + size;
	return true;
}

HS_EXPORT struct hspan_stack *hspan_stack_create(size_t size)
{
	struct hspan_stack *s;

	if (!size)
		size = SIZE_DEFAULT;
	if (size < SIZE_LEAST)
		size = SIZE_LEAST;
	errno = hs.forked ? ENOTSUP : ENOMEM;
	if (hs.forked || size > SIZE_MAX / 2)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	if (!map_stack(s, (size + PAGE - 1) & ~(PAGE - 1))) {
		free(s);
		errno = ENOMEM;
		return NULL;
	}
	make_empty(s);
	hs_stacks_lock();
	s->next = stacks.all;
	if (s->next)
		s->next->prev = s;
	stacks.all = s;
	hs_stacks_unlock();
	return s;
}

/*
 * What is on it is given up, and shaded as what a root held that is removed:
 * somebody may have loaded it from there, and it may not have been scanned yet.
 */
static void empty(struct hspan_stack *s)
{
	struct hs_part part = part_of(s);
	struct hs_thread *t = hs_tls.self;

	if (t != &hs_nobody && t->barrier && hs_load(&hs.marking))
		shade_part(&t->shaded, &part);
	make_empty(s);
}

HS_EXPORT int hspan_stack_reset(struct hspan_stack *stack)
{
	int ret;

	if (hs.forked)
		return -ENOTSUP;
	hs_enter();
	ret = take(stack, HS_TAKEN);
	if (!ret) {
		empty(stack);
		give_back(stack);
	}
	hs_leave();
	return ret;
}

static void unlink_stack(struct hspan_stack *s)
{
	hs_stacks_lock();
	if (stacks.cursor == s)
		stacks.cursor = s->next;
	if (s->prev)
		s->prev->next = s->next;
	else
		stacks.all = s->next;
	if (s->next)
		s->next->prev = s->prev;
	hs_stacks_unlock();
}

HS_EXPORT int hspan_stack_destroy(struct hspan_stack *stack)
{
	int ret;

	if (!stack)
		return 0;
	if (hs.forked)
		return -ENOTSUP;
	hs_enter();
	ret = take(stack, HS_TAKEN); /* for good */
	if (!ret)
		empty(stack);
	hs_leave();
	if (ret)
		return ret;
	unlink_stack(stack);
	munmap((void *)(stack->lo - GUARD), stack->hi - stack->lo + GUARD);
	free(stack);
	return 0;
}

HS_EXPORT void *hspan_stack_memory(const struct hspan_stack *stack, size_t *size)
{
	*size = stack->hi - stack->lo;
	return (void *)stack->lo;
}

// SPDX-License-Identifier: MIT
/*
 * The oracle: with the world stopped, mark again from the same roots by the
 * simplest means, and abort if a reachable object was left white.
 *
 * It shares nothing with the marker but hs_find(): its own bits, its own
 * stack, no prefetch, no sharing.
 *
 * A word on a stack proves only what the program had there.  So in this mode
 * the dead part of a stack is cleared after each handshake, lest a word from
 * before the thread was scanned be taken for a new one; the library's own
 * frames, and registers that a call may change, are not believed: they hold
 * addresses it reckoned with, like the end of a run, where a dead object lies.
 */
#include <sys/mman.h>

#include "bits.h"
#include "specials.h"
#include "stack.h"

#define REPORT_MOST 8
#define STACK_BYTES (16ul << 30) /* of addresses; touched as needed */

static struct {
	uint8_t *seen; /* like plane 0 */
	uintptr_t *stack;
	size_t depth;
	unsigned int white;
	uint64_t checked;
	const char *source;
	const struct hs_thread *thread; /* whose stack or registers, or NULL */
} check;

static bool see(const struct hs_object *o)
{
	uint64_t *bits = (uint64_t *)(check.seen + (size_t)o->page * HSPAN_BITS_STRIDE);
	uint64_t bit = 1ull << (o->slot & 63);

	if (bits[o->slot >> 6] & bit)
		return false;
	bits[o->slot >> 6] |= bit;
	return true;
}

static void complain(const struct hs_object *o, uintptr_t word, uintptr_t where)
{
	const struct hs_thread *t = check.thread;

	if (check.white++ >= REPORT_MOST)
		return;
	hs_log("hugespan: checkmark: white but reachable: object %p of %zu bytes, "
	       "from %s at %p, which holds %p\n",
	       (void *)o->base, hs_object_size(o), check.source, (void *)where, (void *)word);
	if (t)
		hs_log("hugespan: checkmark: thread %d: state %d, sp %p, the program's %p, "
		       "stack to %p, allocates the class up to %p\n",
		       t->tid, t->state, (void *)t->sp, (void *)t->user_sp, (void *)t->stack_hi,
		       (void *)t->run[o->span_class].end);
}

static void visit(uintptr_t word, uintptr_t where)
{
	struct hs_object o;

	if (!hs_find(word, &o) || !hs_is_allocated(&o) || !see(&o))
		return;
	check.checked++;
	if (!hs_is_marked(&o))
		complain(&o, word, where);
	if (!(o.span_class & 1))
		check.stack[check.depth++] = o.base;
}

static bool is_pointer(const struct hs_object *o, const uintptr_t *p)
{
	size_t i = (size_t)((uintptr_t)p - (uintptr_t)hs_page_address(o->page)) >> 3;

	return !hs.typed || o->span_class >> 1 == 1 || !(hs_plane1(o->page)[i >> 6] >> (i & 63) & 1);
}

/*
 * An int spilled over the lower half of what was a pointer makes a new one,
 * out of nothing, 4 GiB aligned but for the int: it proves nothing.  Nor does
 * one whose lower 16 bits are zero where the frames of ThreadSanitizer's runtime,
 * which calls the handlers, lie between ours and the program's: they do the same
 * with a short.
 */
static bool credible(uintptr_t word)
{
	return (uint32_t)word >= HSPAN_BLOCK_SIZE && !(HS_TSAN && !(uint16_t)word);
}

__attribute__((no_sanitize("address", "thread")))
static void visit_stack(uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t *p = (uintptr_t *)(lo & ~7ul); p < (uintptr_t *)hi; p++)
		if (credible(*(volatile uintptr_t *)p))
			visit(*(volatile uintptr_t *)p, (uintptr_t)p);
}

__attribute__((no_sanitize("address", "thread")))
static void visit_range(uintptr_t lo, uintptr_t hi)
{
	for (uintptr_t *p = (uintptr_t *)(lo & ~7ul); p < (uintptr_t *)hi; p++)
		visit(*(volatile uintptr_t *)p, (uintptr_t)p);
}

__attribute__((no_sanitize("address", "thread")))
static void visit_objects(void)
{
	struct hs_object o;

	check.source = "an object";
	check.thread = NULL;
	while (check.depth) {
		uintptr_t base = check.stack[--check.depth];
		uintptr_t *end;

		if (!hs_find(base, &o))
			continue;
		end = (uintptr_t *)(base + hs_object_size(&o));
		for (uintptr_t *p = (uintptr_t *)base; p < end; p++)
			if (is_pointer(&o, p))
				visit(*(volatile uintptr_t *)p, (uintptr_t)p);
	}
}

static void visit_root(uintptr_t lo, uintptr_t hi)
{
	check.source = "a root";
	visit_range(lo, hi);
	visit_objects();
}

static void visit_part(const struct hs_part *part)
{
	check.source = "a stack";
	if (part->regs)
		visit_stack((uintptr_t)part->regs, (uintptr_t)(part->regs + HS_NSAVED));
	visit_stack(part->sp, part->hi);
	visit_objects();
}

static void visit_thread(const struct hs_thread *t)
{
	struct hs_part parts[HS_PARTS_MOST];
	unsigned int n = hs_stack_parts(t, parts);

	check.source = "a register";
	check.thread = t;
	if (!t->user_sp)
		visit_stack((uintptr_t)t->regs, (uintptr_t)(t->regs + HS_NREGS));
	visit_objects();
	for (unsigned int i = 0; i < n; i++) {
		check.thread = t;
		if (!parts[i].regs && t->user_sp > parts[i].sp)
			parts[i].sp = t->user_sp;
		visit_part(&parts[i]);
	}
}

static bool is_seen(uintptr_t word)
{
	const uint64_t *bits;
	struct hs_object o;

	if (!hs_find(word, &o))
		return false;
	bits = (const uint64_t *)(check.seen + (size_t)o.page * HSPAN_BITS_STRIDE);
	return hs_test_bit(bits, o.slot);
}

/* A value that is reached by table and key, and no weak reference to what is white. */
static void visit_special(struct hs_special *e, void *more)
{
	struct hs_object o;

	check.source = "an ephemeron";
	if (e->kind == HS_EPHEMERON && is_seen(e->arg) && is_seen(e->object) && !is_seen(e->value)) {
		visit(e->value, (uintptr_t)e);
		*(bool *)more |= is_seen(e->value);
		visit_objects();
	}
	check.source = "a weak reference";
	if ((e->kind == HS_WEAK || e->kind == HS_WEAK_LONG) && !hs_special_alive(e->object) &&
	    hs_find(e->object, &o))
		complain(&o, e->object, e->arg);
}

static void visit_specials(void)
{
	bool more;

	check.thread = NULL;
	do {
		more = false;
		hs_specials_each(visit_special, &more);
	} while (more);
}

static size_t seen_size(void)
{
	return (hs.size >> HSPAN_PAGE_SHIFT) * HSPAN_BITS_STRIDE;
}

static void prepare(void)
{
	if (!check.seen) {
		check.seen = hs_map(seen_size());
		check.stack = hs_map(STACK_BYTES);
		if (!check.seen || !check.stack)
			hs_die("hugespan: no memory for checkmark\n");
	} else {
		madvise(check.seen, seen_size(), MADV_DONTNEED);
	}
	check.white = 0;
}

/* Called by the collector when it thinks that marking is done. */
void hs_checkmark(void)
{
	prepare();
	hs_handshake(HS_STOP);
	hs_roots_each(visit_root);
	for (struct hs_thread *t = hs.threads; t; t = t->next)
		visit_thread(t);
	hs_stacks_each(visit_part);
	visit_specials();
	if (check.white)
		hs_die("hugespan: checkmark: %u reachable objects were left white\n", check.white);
	hs_handshake_resume();
}

uint64_t hs_checkmark_objects(void)
{
	return check.checked;
}

void hs_checkmark_reset(void)
{
	hs_unmap(check.seen, seen_size());
	hs_unmap(check.stack, STACK_BYTES);
	check.seen = NULL;
	check.stack = NULL;
}

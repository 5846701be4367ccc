// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handlers of the ioctls about spans: get, put, sweep, cycle, release.
 *
 * User memory is copied before or after the heap is called, never inside.  If
 * the caller cannot be told which spans it got, they go back as they came.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hugespan.h"
#include "trace.h"
#include "usercopy.h"

/* Spans of a call that needs no allocation. */
#define HSPAN_ON_STACK		32

/* Spans nobody will ever hear of: put them back as they are. */
static void hspan_spans_undo(struct hspan_client *client,
			     const struct hspan_span *spans, unsigned int nr)
{
	unsigned int i;

	/* A put that is refused leaves the span with the client: not lost. */
	for (i = 0; i < nr; i++)
		hspan_heap_put(client->arena->heap, client->id, spans[i].page,
			       spans[i].nfree, spans[i].sweepgen);
}

/* Tell the caller about @nr spans, or give them all back. */
static int hspan_spans_deliver(struct hspan_call *call, u64 uspans,
			       const struct hspan_span *spans, unsigned int nr)
{
	if (hspan_copy_out(u64_to_user_ptr(uspans), spans,
			   nr * sizeof(*spans)) ||
	    hspan_call_write(call)) {
		hspan_spans_undo(call->client, spans, nr);
		return -EFAULT;
	}
	return 0;
}

static struct hspan_span *hspan_spans_alloc(struct hspan_span *stack, u32 nr)
{
	if (nr <= HSPAN_ON_STACK)
		return stack;
	return kmalloc_array(nr, sizeof(*stack), GFP_KERNEL);
}

static void hspan_spans_free(struct hspan_span *spans, struct hspan_span *stack)
{
	if (spans != stack)
		kfree(spans);
}

long hspan_cmd_span_get(struct hspan_call *call)
{
	struct hspan_span stack[HSPAN_ON_STACK] __uninitialized, *spans;
	struct hspan_span_get *args = &call->arg.span_get;
	struct hspan_client *client = call->client;
	int ret;

	if (!args->nr || args->nr > HSPAN_BATCH_MAX ||
	    (args->flags & ~HSPAN_GET_FRESH))
		return -EINVAL;
	spans = hspan_spans_alloc(stack, args->nr);
	if (!spans)
		return -ENOMEM;
	ret = hspan_heap_get(client->arena->heap, client->id, args->span_class,
			     args->npages, args->flags, spans, args->nr);
	if (ret > 0) {
		args->nr = ret;
		ret = hspan_spans_deliver(call, args->spans, spans, args->nr);
	}
	hspan_spans_free(spans, stack);
	return ret;
}

long hspan_cmd_sweep_next(struct hspan_call *call)
{
	struct hspan_span stack[HSPAN_ON_STACK] __uninitialized, *spans;
	struct hspan_sweep_next *args = &call->arg.sweep_next;
	struct hspan_client *client = call->client;
	int ret;

	if (!args->nr || args->nr > HSPAN_BATCH_MAX || args->flags)
		return -EINVAL;
	spans = hspan_spans_alloc(stack, args->nr);
	if (!spans)
		return -ENOMEM;
	ret = hspan_heap_sweep_next(client->arena->heap, client->id, spans,
				    args->nr);
	if (ret >= 0) {
		args->nr = ret;
		ret = hspan_spans_deliver(call, args->spans, spans, args->nr);
	}
	hspan_spans_free(spans, stack);
	return ret;
}

/* All that has changed in an entry. */
static int hspan_puts_tell(struct hspan_put __user *uputs,
			   const struct hspan_put *puts, u32 nr)
{
	u32 i;

	might_fault();
	if (should_fail_usercopy() ||
	    !user_write_access_begin(uputs, nr * sizeof(*puts)))
		return -EFAULT;
	for (i = 0; i < nr; i++)
		unsafe_put_user(puts[i].error, &uputs[i].error, fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

/* The errno of the first entry that was refused, or 0. */
static int hspan_puts_error(const struct hspan_put *puts, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (puts[i].error)
			return puts[i].error;
	return 0;
}

long hspan_cmd_span_put(struct hspan_call *call)
{
	struct hspan_span_put *args = &call->arg.span_put;
	struct hspan_put __user *uputs = u64_to_user_ptr(args->puts);
	struct hspan_put stack[HSPAN_ON_STACK] __uninitialized, *puts = stack;
	u32 nr = args->nr;
	int ret;

	if (!nr || nr > HSPAN_BATCH_MAX || args->flags) {
		call->written = true;	/* nothing was judged */
		return -EINVAL;
	}
	if (nr > HSPAN_ON_STACK) {
		puts = kmalloc_array(nr, sizeof(*puts), GFP_KERNEL);
		if (!puts) {
			call->written = true;
			return -ENOMEM;
		}
	}
	if (hspan_copy_in(puts, uputs, nr * sizeof(*puts))) {
		call->written = true;
		ret = -EFAULT;
		goto out_free;
	}
	args->nr = hspan_heap_put_many(call->client->arena->heap,
				       call->client->id, puts, nr);
	ret = args->nr < nr ? hspan_puts_error(puts, nr) : 0;
	call->written = !ret;	/* it says already how many */
	if (hspan_puts_tell(uputs, puts, nr))
		ret = -EFAULT;
out_free:
	if (puts != stack)
		kfree(puts);
	return ret;
}

long hspan_cmd_cycle(struct hspan_call *call)
{
	struct hspan_cycle *args = &call->arg.cycle;
	struct hspan_arena *arena = call->client->arena;
	int ret;

	if (args->flags)
		return -EINVAL;
	ret = hspan_heap_cycle(arena->heap, &args->sweepgen);
	trace_hugespan_cycle(arena->id, ret ? 0 : args->sweepgen, ret);
	return ret;
}

long hspan_cmd_release(struct hspan_call *call)
{
	struct hspan_release *args = &call->arg.release;
	struct hspan_arena *arena = call->client->arena;

	if (args->flags || args->reserved)
		return -EINVAL;
	args->released = hspan_heap_release(arena->heap, args->max);
	trace_hugespan_release(arena->id, args->max, args->released);
	return 0;
}

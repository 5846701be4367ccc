// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handlers of the ioctls about spans: get, put, sweep, cycle, release.
 *
 * User memory is copied before or after the heap is called, never inside.  If
 * the caller cannot be told which spans it got, they go back as they came.
 *
 * Commands that take many spans copy their own structs, by whole words, and
 * write only what has changed.  A caller's struct that is longer than ours
 * begins with ours, and its rest is zero, as ioctl.c has checked, and stays so.
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

/*
 * Tell the caller, who has asked for @nr spans, about the @n that came, or give
 * them all back.
 */
static int hspan_spans_deliver(struct hspan_client *client, u64 uspans,
			       u32 __user *unr, u32 nr,
			       const struct hspan_span *spans, u32 n)
{
	if ((n != nr && put_user(n, unr)) ||
	    hspan_copy_out(u64_to_user_ptr(uspans), spans, n, sizeof(*spans))) {
		hspan_spans_undo(client, spans, n);
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

static noinline long hspan_get_many(struct hspan_client *client,
				    const struct hspan_span_get *args,
				    u32 __user *unr)
{
	struct hspan_span stack[HSPAN_ON_STACK] __uninitialized, *spans;
	int ret;

	if (!args->nr || args->nr > HSPAN_BATCH_MAX)
		return -EINVAL;
	spans = hspan_spans_alloc(stack, args->nr);
	if (!spans)
		return -ENOMEM;
	ret = hspan_heap_get(client->arena->heap, client->id, args->span_class,
			     args->npages, args->flags, spans, args->nr);
	if (ret > 0)
		ret = hspan_spans_deliver(client, args->spans, unr, args->nr,
					  spans, ret);
	hspan_spans_free(spans, stack);
	return ret;
}

static long hspan_get_one(struct hspan_client *client,
			  const struct hspan_span_get *args)
{
	struct hspan_span span __uninitialized;
	int ret;

	ret = hspan_heap_get(client->arena->heap, client->id, args->span_class,
			     args->npages, args->flags, &span, 1);
	if (ret < 0)
		return ret;
	if (!hspan_copy_out(u64_to_user_ptr(args->spans), &span, 1,
			    sizeof(span)))
		return 0;
	hspan_spans_undo(client, &span, 1);
	return -EFAULT;
}

/**
 * hspan_span_get() - HSPAN_IOC_SPAN_GET
 * @client: who calls
 * @uargs: what it says
 *
 * Return: 0 or a negative errno.
 */
long hspan_span_get(struct hspan_client *client,
		    struct hspan_span_get __user *uargs)
{
	struct hspan_span_get args __uninitialized;

	if (hspan_copy_in(&args, uargs, 1, sizeof(args)))
		return -EFAULT;
	if (args.flags & ~HSPAN_GET_FRESH)
		return -EINVAL;
	if (args.nr == 1)
		return hspan_get_one(client, &args);
	return hspan_get_many(client, &args, &uargs->nr);
}

static long hspan_sweep_next(struct hspan_client *client,
			     struct hspan_sweep_next __user *uargs)
{
	struct hspan_span stack[HSPAN_ON_STACK] __uninitialized, *spans;
	struct hspan_sweep_next args __uninitialized;
	int ret;

	if (hspan_copy_in(&args, uargs, 1, sizeof(args)))
		return -EFAULT;
	if (!args.nr || args.nr > HSPAN_BATCH_MAX || args.flags)
		return -EINVAL;
	spans = hspan_spans_alloc(stack, args.nr);
	if (!spans)
		return -ENOMEM;
	ret = hspan_heap_sweep_next(client->arena->heap, client->id, spans,
				    args.nr);
	if (ret >= 0)
		ret = hspan_spans_deliver(client, args.spans, &uargs->nr,
					  args.nr, spans, ret);
	hspan_spans_free(spans, stack);
	return ret;
}

/* Reads entries.  @clear: each says already that it was not refused. */
static __always_inline int hspan_puts_read(struct hspan_put *puts,
					   const struct hspan_put __user *uputs,
					   u32 nr, bool *clear)
{
	const u64 __user *from = (const u64 __user *)uputs;
	const struct hspan_put *end = puts + nr;
	u64 *to = (u64 *)puts, word = 0, seen = 0;

	might_fault();
	if (should_fail_usercopy() ||
	    !user_read_access_begin(uputs, nr * sizeof(*puts)))
		return -EFAULT;
	for (; to < (u64 *)end; to += 2, from += 2) {
		unsafe_get_user(to[0], &from[0], fault);
		unsafe_get_user(word, &from[1], fault);
		to[1] = word;
		seen |= word;
	}
	user_read_access_end();
	*clear = !(seen >> 32);
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

/* All that may have changed in an entry. */
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

/* Put back what @uputs says, which is read into @puts.  Short if @nr is 1. */
static __always_inline long hspan_puts_do(struct hspan_client *client,
			  struct hspan_put __user *uputs, u32 __user *unr,
			  struct hspan_put *puts, u32 nr)
{
	bool clear;
	u32 done;
	int err = 0;

	if (hspan_puts_read(puts, uputs, nr, &clear))
		return -EFAULT;
	done = hspan_heap_put_many(client->arena->heap, client->id, puts, nr);
	if (done < nr) {
		err = hspan_puts_error(puts, nr);
		if (put_user(done, unr))
			err = -EFAULT;
	} else if (clear) {
		return 0;
	}
	if (hspan_puts_tell(uputs, puts, nr))
		err = -EFAULT;
	return err;
}

static noinline long hspan_put_many(struct hspan_client *client,
				    const struct hspan_span_put *args,
				    u32 __user *unr)
{
	struct hspan_put stack[HSPAN_ON_STACK] __uninitialized, *puts = stack;
	long ret;

	if (!args->nr || args->nr > HSPAN_BATCH_MAX)
		return -EINVAL;
	if (args->nr > HSPAN_ON_STACK)
		puts = kmalloc_array(args->nr, sizeof(*puts), GFP_KERNEL);
	if (!puts)
		return -ENOMEM;
	ret = hspan_puts_do(client, u64_to_user_ptr(args->puts), unr, puts,
			    args->nr);
	if (puts != stack)
		kfree(puts);
	return ret;
}

static long hspan_put_one(struct hspan_client *client,
			  const struct hspan_span_put *args, u32 __user *unr)
{
	struct hspan_put put __uninitialized;

	return hspan_puts_do(client, u64_to_user_ptr(args->puts), unr, &put, 1);
}

/**
 * hspan_span_put() - HSPAN_IOC_SPAN_PUT
 * @client: who calls
 * @uargs: what it says
 *
 * Return: 0 or a negative errno.
 */
long hspan_span_put(struct hspan_client *client,
		    struct hspan_span_put __user *uargs)
{
	struct hspan_span_put args __uninitialized;

	if (hspan_copy_in(&args, uargs, 1, sizeof(args)))
		return -EFAULT;
	if (args.flags)
		return -EINVAL;
	if (args.nr == 1)
		return hspan_put_one(client, &args, &uargs->nr);
	return hspan_put_many(client, &args, &uargs->nr);
}

long hspan_cmd_span_get(struct hspan_call *call)
{
	call->written = true;
	return hspan_span_get(call->client, call->uarg);
}

long hspan_cmd_span_put(struct hspan_call *call)
{
	call->written = true;
	return hspan_span_put(call->client, call->uarg);
}

long hspan_cmd_sweep_next(struct hspan_call *call)
{
	call->written = true;
	return hspan_sweep_next(call->client, call->uarg);
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

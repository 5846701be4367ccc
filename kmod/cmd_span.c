// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handlers of the ioctls about spans: get, put, sweep, cycle, release.
 *
 * User memory is copied before or after the heap is called, never inside.  If
 * the caller cannot be told which spans it got, they go back as they came.
 *
 * Commands that take many spans write only what has changed: a caller's struct
 * that is longer than ours begins with ours, and its rest is zero, as ioctl.c
 * has checked, and stays so.
 *
 * Get and put of one span, in structs of our size, are most of all calls.  They
 * are read by whole words, which stay in registers, and leave to other
 * functions what is not always needed.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "heap/quick.h"
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
	    hspan_spans_out(u64_to_user_ptr(uspans), spans, n)) {
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
				    struct hspan_span_get args,
				    u32 __user *unr)
{
	struct hspan_span stack[HSPAN_ON_STACK] __uninitialized, *spans;
	int ret;

	if (!args.nr || args.nr > HSPAN_BATCH_MAX)
		return -EINVAL;
	spans = hspan_spans_alloc(stack, args.nr);
	if (!spans)
		return -ENOMEM;
	ret = hspan_heap_get(client->arena->heap, client->id, args.span_class,
			     args.npages, args.flags, spans, args.nr);
	if (ret > 0)
		ret = hspan_spans_deliver(client, args.spans, unr, args.nr,
					  spans, ret);
	hspan_spans_free(spans, stack);
	return ret;
}

static __always_inline long hspan_get_do(struct hspan_client *client,
					 struct hspan_span_get __user *uargs)
{
	struct hspan_heap *heap = client->arena->heap;
	struct hspan_span span __uninitialized;
	struct hspan_span_get args;
	u64 word[3];

	if (hspan_words_in(word, uargs, ARRAY_SIZE(word)))
		return -EFAULT;
	args = (struct hspan_span_get){
		.spans = word[0],
		.nr = lower_32_bits(word[1]),
		.span_class = upper_32_bits(word[1]),
		.npages = lower_32_bits(word[2]),
		.flags = upper_32_bits(word[2]),
	};
	if (args.nr != 1 ||
	    !hspan_get_quick(heap, client->id, args.span_class, args.npages,
			     args.flags, &span))
		return hspan_get_many(client, args, &uargs->nr);
	if (!hspan_span_out(u64_to_user_ptr(args.spans), &span))
		return 0;
	hspan_heap_put(heap, client->id, span.page, span.nfree, span.sweepgen);
	return -EFAULT;
}

/**
 * hspan_span_get() - HSPAN_IOC_SPAN_GET
 * @client: who calls
 * @uargs: what it says
 *
 * Return: 0 or a negative errno, of which the trace has been told.
 */
long hspan_span_get(struct hspan_client *client,
		    struct hspan_span_get __user *uargs)
{
	long ret = hspan_get_do(client, uargs);

	if (unlikely(ret < 0))
		hspan_ioctl_refused(client, HSPAN_IOC_SPAN_GET, ret);
	return ret;
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

static long hspan_puts_do(struct hspan_client *client,
			  struct hspan_put __user *uputs, u32 __user *unr,
			  struct hspan_put *puts, u32 nr)
{
	bool clear;
	u32 done;
	int err = 0;

	if (hspan_puts_in(puts, uputs, nr, &clear))
		return -EFAULT;
	done = hspan_heap_put_many(client->arena->heap, client->id, puts, nr);
	if (done < nr) {
		err = hspan_puts_error(puts, nr);
		if (put_user(done, unr))
			err = -EFAULT;
	} else if (clear) {
		return 0;
	}
	if (hspan_puts_out(uputs, puts, nr))
		err = -EFAULT;
	return err;
}

static noinline long hspan_put_many(struct hspan_client *client,
				    struct hspan_put __user *uputs, u32 nr,
				    u32 flags, u32 __user *unr)
{
	struct hspan_put stack[HSPAN_ON_STACK] __uninitialized, *puts = stack;
	long ret;

	if (!nr || nr > HSPAN_BATCH_MAX || flags)
		return -EINVAL;
	if (nr > HSPAN_ON_STACK)
		puts = kmalloc_array(nr, sizeof(*puts), GFP_KERNEL);
	if (!puts)
		return -ENOMEM;
	ret = hspan_puts_do(client, uputs, unr, puts, nr);
	if (puts != stack)
		kfree(puts);
	return ret;
}

static __always_inline long hspan_put_do(struct hspan_client *client,
					 struct hspan_span_put __user *uargs)
{
	struct hspan_heap *heap = client->arena->heap;
	struct hspan_put __user *uput;
	u64 word[2], entry[2];
	u32 nr, flags;

	if (hspan_words_in(word, uargs, ARRAY_SIZE(word)))
		return -EFAULT;
	uput = u64_to_user_ptr(word[0]);
	nr = lower_32_bits(word[1]);
	flags = upper_32_bits(word[1]);
	if (nr != 1 || flags)
		return hspan_put_many(client, uput, nr, flags, &uargs->nr);
	if (hspan_words_in(entry, uput, ARRAY_SIZE(entry)))
		return -EFAULT;
	/* An error that is there already has to be cleared. */
	if (upper_32_bits(entry[1]) ||
	    !hspan_put_quick(heap, client->id, lower_32_bits(entry[0]),
			     upper_32_bits(entry[0]), lower_32_bits(entry[1])))
		return hspan_put_many(client, uput, nr, flags, &uargs->nr);
	return 0;
}

/**
 * hspan_span_put() - HSPAN_IOC_SPAN_PUT
 * @client: who calls
 * @uargs: what it says
 *
 * Return: 0 or a negative errno, of which the trace has been told.
 */
long hspan_span_put(struct hspan_client *client,
		    struct hspan_span_put __user *uargs)
{
	long ret = hspan_put_do(client, uargs);

	if (unlikely(ret < 0))
		hspan_ioctl_refused(client, HSPAN_IOC_SPAN_PUT, ret);
	return ret;
}

/* Structs of another size than ours come this way. */
long hspan_cmd_span_get(struct hspan_call *call)
{
	struct hspan_span_get __user *uargs = call->uarg;

	call->written = true;
	return hspan_get_many(call->client, call->arg.span_get, &uargs->nr);
}

long hspan_cmd_span_put(struct hspan_call *call)
{
	const struct hspan_span_put *args = &call->arg.span_put;
	struct hspan_span_put __user *uargs = call->uarg;

	call->written = true;
	return hspan_put_many(call->client, u64_to_user_ptr(args->puts),
			      args->nr, args->flags, &uargs->nr);
}

long hspan_cmd_sweep_next(struct hspan_call *call)
{
	struct hspan_span stack[HSPAN_ON_STACK] __uninitialized, *spans;
	const struct hspan_sweep_next *args = &call->arg.sweep_next;
	struct hspan_sweep_next __user *uargs = call->uarg;
	int ret;

	call->written = true;
	if (!args->nr || args->nr > HSPAN_BATCH_MAX || args->flags)
		return -EINVAL;
	spans = hspan_spans_alloc(stack, args->nr);
	if (!spans)
		return -ENOMEM;
	ret = hspan_heap_sweep_next(call->client->arena->heap, call->client->id,
				    spans, args->nr);
	if (ret >= 0)
		ret = hspan_spans_deliver(call->client, args->spans, &uargs->nr,
					  args->nr, spans, ret);
	hspan_spans_free(spans, stack);
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

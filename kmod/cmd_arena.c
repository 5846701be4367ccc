// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handlers of the ioctls about the device and about arenas as a whole.
 */
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "hugespan.h"
#include "trace.h"

long hspan_cmd_device_info(struct hspan_call *call)
{
	struct hspan_device_info *info = &call->arg.device_info;

	info->abi_version = HSPAN_ABI_VERSION;
	info->nr_span_classes = HSPAN_NR_SPAN_CLASSES;
	info->features = HSPAN_FEATURE_NAMED | HSPAN_FEATURE_DONTFORK |
			 HSPAN_FEATURE_SNAPSHOT;
	info->pool_free = hspan_pool_nr_free(&hspan_pool, HSPAN_STOCK_FREE) +
			  hspan_pool_nr_free(&hspan_pool, HSPAN_STOCK_RESERVE);
	info->pool_zeroed = hspan_pool_nr_clean(&hspan_pool);
	return 0;
}

static bool hspan_arena_args_ok(const struct hspan_arena_create *args)
{
	if ((args->flags & ~(HSPAN_ARENA_DONTFORK | HSPAN_ARENA_SNAPSHOT)) ||
	    (args->fd_flags & ~O_CLOEXEC) || args->reserved)
		return false;
	if (!args->size || args->size > HSPAN_ARENA_MAX ||
	    !IS_ALIGNED(args->size, HSPAN_BLOCK_SIZE))
		return false;
	if (!IS_ALIGNED(args->base, HSPAN_BLOCK_SIZE) ||
	    args->base >= TASK_SIZE_MAX ||
	    args->size > TASK_SIZE_MAX - args->base)
		return false;
	return true;
}

/* No name is all zeros; then nobody looks for it and mode says nothing. */
static int hspan_arena_name_check(const struct hspan_arena_create *args)
{
	if (args->mode & ~0666U)
		return -EINVAL;
	if (memchr_inv(args->name, 0, sizeof(args->name)))
		return hspan_name_check(args->name);
	return args->mode ? -EINVAL : 0;
}

long hspan_cmd_arena_create(struct hspan_call *call)
{
	const struct hspan_arena_create *args = &call->arg.arena_create;
	struct hspan_arena *arena;
	int fd, err;

	if (!hspan_arena_args_ok(args))
		return -EINVAL;
	err = hspan_arena_name_check(args);
	if (err)
		return err;
	arena = hspan_arena_create(&hspan_pool, args);
	if (IS_ERR(arena))
		return PTR_ERR(arena);
	fd = hspan_client_fd(arena, args->fd_flags);
	hspan_arena_put(arena);
	return fd;
}

long hspan_cmd_arena_find(struct hspan_call *call)
{
	const struct hspan_arena_find *args = &call->arg.arena_find;
	struct hspan_arena *arena;
	int fd, err;

	if (args->flags || (args->fd_flags & ~O_CLOEXEC))
		return -EINVAL;
	err = hspan_name_check(args->name);
	if (err)
		return err;
	arena = hspan_name_open(args->name);
	if (IS_ERR(arena))
		return PTR_ERR(arena);
	fd = hspan_client_fd(arena, args->fd_flags);
	hspan_arena_put(arena);
	return fd;
}

long hspan_cmd_arena_info(struct hspan_call *call)
{
	struct hspan_arena *arena = call->client->arena;
	struct hspan_arena_info *info = &call->arg.arena_info;

	info->size = arena->size;
	info->base = arena->base;
	info->limit = hspan_heap_limit(arena->heap);
	info->id = arena->id;
	info->client = call->client->id;
	info->flags = arena->flags;
	return 0;
}

long hspan_cmd_arena_open(struct hspan_call *call)
{
	const struct hspan_arena_open *args = &call->arg.arena_open;

	if (args->flags || (args->fd_flags & ~O_CLOEXEC))
		return -EINVAL;
	return hspan_client_fd(call->client->arena, args->fd_flags);
}

long hspan_cmd_limit(struct hspan_call *call)
{
	const struct hspan_limit *args = &call->arg.limit;

	if (args->flags || args->reserved || !args->limit)
		return -EINVAL;
	hspan_heap_set_limit(call->client->arena->heap, args->limit);
	trace_hugespan_limit(call->client->arena->id, args->limit);
	return 0;
}

long hspan_cmd_stats(struct hspan_call *call)
{
	hspan_arena_stats(call->client->arena, &call->arg.stats);
	return 0;
}

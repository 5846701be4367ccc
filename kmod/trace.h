/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: one for each event off the fast path.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hugespan

#if !defined(_HUGESPAN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _HUGESPAN_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(hugespan_arena_create,
	TP_PROTO(u64 arena, u64 size, u64 limit),
	TP_ARGS(arena, size, limit),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, size)
		__field(u64, limit)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->size = size;
		__entry->limit = limit;
	),
	TP_printk("arena=%llu size=%llu limit=%llu", __entry->arena,
		  __entry->size, __entry->limit)
);

TRACE_EVENT(hugespan_arena_destroy,
	TP_PROTO(u64 arena, u64 faults),
	TP_ARGS(arena, faults),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, faults)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->faults = faults;
	),
	TP_printk("arena=%llu faults=%llu", __entry->arena, __entry->faults)
);

TRACE_EVENT(hugespan_client_open,
	TP_PROTO(u64 arena, u32 client),
	TP_ARGS(arena, client),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u32, client)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->client = client;
	),
	TP_printk("arena=%llu client=%u", __entry->arena, __entry->client)
);

TRACE_EVENT(hugespan_client_drop,
	TP_PROTO(u64 arena, u32 client, u64 spans),
	TP_ARGS(arena, client, spans),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u32, client)
		__field(u64, spans)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->client = client;
		__entry->spans = spans;
	),
	TP_printk("arena=%llu client=%u spans=%llu", __entry->arena,
		  __entry->client, __entry->spans)
);

TRACE_EVENT(hugespan_block_get,
	TP_PROTO(u64 arena, u32 block, int err),
	TP_ARGS(arena, block, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u32, block)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->block = block;
		__entry->err = err;
	),
	TP_printk("arena=%llu block=%u err=%d", __entry->arena,
		  __entry->block, __entry->err)
);

TRACE_EVENT(hugespan_block_put,
	TP_PROTO(u64 arena, u32 block, bool recycled),
	TP_ARGS(arena, block, recycled),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u32, block)
		__field(bool, recycled)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->block = block;
		__entry->recycled = recycled;
	),
	TP_printk("arena=%llu block=%u %s", __entry->arena, __entry->block,
		  __entry->recycled ? "recycled" : "lost")
);

TRACE_EVENT(hugespan_snapshot_take,
	TP_PROTO(u64 arena, u64 blocks, u64 copied, u64 gate_ns, int err),
	TP_ARGS(arena, blocks, copied, gate_ns, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, blocks)
		__field(u64, copied)
		__field(u64, gate_ns)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->blocks = blocks;
		__entry->copied = copied;
		__entry->gate_ns = gate_ns;
		__entry->err = err;
	),
	TP_printk("arena=%llu blocks=%llu copied=%llu gate_ns=%llu err=%d",
		  __entry->arena, __entry->blocks, __entry->copied,
		  __entry->gate_ns, __entry->err)
);

TRACE_EVENT(hugespan_snapshot_copy,
	TP_PROTO(u64 arena, u32 block, int err),
	TP_ARGS(arena, block, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u32, block)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->block = block;
		__entry->err = err;
	),
	TP_printk("arena=%llu block=%u err=%d", __entry->arena,
		  __entry->block, __entry->err)
);

TRACE_EVENT(hugespan_snapshot_end,
	TP_PROTO(u64 arena, u64 owned, u64 lost, int err),
	TP_ARGS(arena, owned, lost, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, owned)
		__field(u64, lost)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->owned = owned;
		__entry->lost = lost;
		__entry->err = err;
	),
	TP_printk("arena=%llu owned=%llu lost=%llu err=%d", __entry->arena,
		  __entry->owned, __entry->lost, __entry->err)
);

TRACE_EVENT(hugespan_cycle,
	TP_PROTO(u64 arena, u32 sweepgen, int err),
	TP_ARGS(arena, sweepgen, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u32, sweepgen)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->sweepgen = sweepgen;
		__entry->err = err;
	),
	TP_printk("arena=%llu sweepgen=%u err=%d", __entry->arena,
		  __entry->sweepgen, __entry->err)
);

TRACE_EVENT(hugespan_release,
	TP_PROTO(u64 arena, u64 max, u64 released),
	TP_ARGS(arena, max, released),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, max)
		__field(u64, released)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->max = max;
		__entry->released = released;
	),
	TP_printk("arena=%llu max=%llu released=%llu", __entry->arena,
		  __entry->max, __entry->released)
);

TRACE_EVENT(hugespan_fault_error,
	TP_PROTO(u64 arena, unsigned long pgoff, unsigned int fault),
	TP_ARGS(arena, pgoff, fault),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(unsigned long, pgoff)
		__field(unsigned int, fault)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->pgoff = pgoff;
		__entry->fault = fault;
	),
	TP_printk("arena=%llu pgoff=%#lx fault=%#x", __entry->arena,
		  __entry->pgoff, __entry->fault)
);

TRACE_EVENT(hugespan_limit,
	TP_PROTO(u64 arena, u64 limit),
	TP_ARGS(arena, limit),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u64, limit)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->limit = limit;
	),
	TP_printk("arena=%llu limit=%llu", __entry->arena, __entry->limit)
);

TRACE_EVENT(hugespan_ioctl_error,
	TP_PROTO(u64 arena, u32 client, unsigned int cmd, int err),
	TP_ARGS(arena, client, cmd, err),
	TP_STRUCT__entry(
		__field(u64, arena)
		__field(u32, client)
		__field(unsigned int, cmd)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->arena = arena;
		__entry->client = client;
		__entry->cmd = cmd;
		__entry->err = err;
	),
	TP_printk("arena=%llu client=%u cmd=%u err=%d", __entry->arena,
		  __entry->client, __entry->cmd, __entry->err)
);

/* A block from the system: for a taker, or, @ahead, to wait for one. */
TRACE_EVENT(hugespan_pool_alloc,
	TP_PROTO(int node, bool ahead),
	TP_ARGS(node, ahead),
	TP_STRUCT__entry(
		__field(int, node)
		__field(bool, ahead)
	),
	TP_fast_assign(
		__entry->node = node;
		__entry->ahead = ahead;
	),
	TP_printk("node=%d%s", __entry->node,
		  __entry->ahead ? " ahead" : "")
);

TRACE_EVENT(hugespan_pool_free,
	TP_PROTO(int node),
	TP_ARGS(node),
	TP_STRUCT__entry(
		__field(int, node)
	),
	TP_fast_assign(
		__entry->node = node;
	),
	TP_printk("node=%d", __entry->node)
);

/* 2 MiB have been cleared. */
TRACE_EVENT(hugespan_pool_zero,
	TP_PROTO(int node),
	TP_ARGS(node),
	TP_STRUCT__entry(
		__field(int, node)
	),
	TP_fast_assign(
		__entry->node = node;
	),
	TP_printk("node=%d", __entry->node)
);

/* No block was to be had. */
TRACE_EVENT(hugespan_pool_failed,
	TP_PROTO(int node),
	TP_ARGS(node),
	TP_STRUCT__entry(
		__field(int, node)
	),
	TP_fast_assign(
		__entry->node = node;
	),
	TP_printk("node=%d", __entry->node)
);

/* A block with a hardware memory error is put away. */
TRACE_EVENT(hugespan_pool_poisoned,
	TP_PROTO(unsigned long pfn),
	TP_ARGS(pfn),
	TP_STRUCT__entry(
		__field(unsigned long, pfn)
	),
	TP_fast_assign(
		__entry->pfn = pfn;
	),
	TP_printk("pfn=%#lx", __entry->pfn)
);

TRACE_EVENT(hugespan_pool_shrink,
	TP_PROTO(unsigned long blocks),
	TP_ARGS(blocks),
	TP_STRUCT__entry(
		__field(unsigned long, blocks)
	),
	TP_fast_assign(
		__entry->blocks = blocks;
	),
	TP_printk("blocks=%lu", __entry->blocks)
);

TRACE_EVENT(hugespan_pressure,
	TP_PROTO(unsigned int level, unsigned int asked),
	TP_ARGS(level, asked),
	TP_STRUCT__entry(
		__field(unsigned int, level)
		__field(unsigned int, asked)
	),
	TP_fast_assign(
		__entry->level = level;
		__entry->asked = asked;
	),
	TP_printk("level=%u asked=%u", __entry->level, __entry->asked)
);

#endif /* _HUGESPAN_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

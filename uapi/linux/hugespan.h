/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * The user-space ABI of /dev/hugespan: ioctls, mmap regions, shared layouts.
 *
 * Every ioctl argument is an extensible struct: the kernel takes its size from
 * the command number, zero-extends an older (shorter) struct, and refuses a
 * newer (longer) one with E2BIG unless what it does not know is zero.  A struct
 * that only comes out (_IOR) is cut or zero-extended to the caller's size.
 * Unknown flag bits and non-zero reserved fields are EINVAL; unknown commands,
 * and those of the other kind of file, ENOTTY.
 */
#ifndef _UAPI_LINUX_HUGESPAN_H
#define _UAPI_LINUX_HUGESPAN_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HSPAN_DEVICE_NAME	"hugespan"
#define HSPAN_ABI_VERSION	1

/* Geometry: spans are runs of 8 KiB pages inside 2 MiB blocks. */
#define HSPAN_PAGE_SHIFT	13
#define HSPAN_PAGE_SIZE		(1UL << HSPAN_PAGE_SHIFT)
#define HSPAN_BLOCK_SHIFT	21
#define HSPAN_BLOCK_SIZE	(1UL << HSPAN_BLOCK_SHIFT)
#define HSPAN_BLOCK_PAGES	(1U << (HSPAN_BLOCK_SHIFT - HSPAN_PAGE_SHIFT))

/* A page index has 24 bits in the page map: an arena is at most 128 GiB. */
#define HSPAN_ARENA_MAX		(1ULL << (24 + HSPAN_PAGE_SHIFT))

/*
 * Page map: one __u32 a page.  0 = no span here.  Otherwise the low byte is
 * the span class + 1 and the upper 24 bits are the index of the span's first
 * page, so one load turns any pointer into its span.
 */
#define HSPAN_PM_NONE		0U
#define HSPAN_PM_ENTRY(page, span_class) \
	(((__u32)(page) << 8) | ((__u32)(span_class) + 1))
#define HSPAN_PM_PAGE(entry)	((__u32)(entry) >> 8)
#define HSPAN_PM_CLASS(entry)	(((__u32)(entry) & 0xff) - 1)

/* Span class = size class * 2 + noscan; size class 0 = large. */
#define HSPAN_SPAN_CLASS(size_class, noscan)	((size_class) * 2 + !!(noscan))
#define HSPAN_CLASS_LARGE_SCAN		HSPAN_SPAN_CLASS(0, 0)
#define HSPAN_CLASS_LARGE_NOSCAN	HSPAN_SPAN_CLASS(0, 1)

/*
 * Offsets for mmap() of an arena fd.  All regions are MAP_SHARED.
 *
 * DATA      read-write, 2 MiB aligned in address and offset.  SIGBUS where
 *           no block is.
 * CONTROL   read-only, one system page: struct hspan_control.
 * PAGE_MAP  read-only, 4 bytes a page of the arena.
 * BITS      read-write, zero at first, HSPAN_BITS_PLANES planes of
 *           HSPAN_BITS_STRIDE bytes for each page of the arena; the kernel
 *           neither reads nor trusts it, and drops (zeroes) the part that
 *           belongs to a block with the block.  SIGBUS where no block is and
 *           the arena's user may hold no more.  Plane 0 holds mark and allocation
 *           bits of a span's objects, plane 1 one "not a pointer" bit a word.
 * NOTES     read-write, zero at first, 4 bytes a page of the arena, kept as
 *           long as the arena; the kernel neither reads nor trusts it.  A
 *           span's first page has the note of its last sweep, see below.
 */
#define HSPAN_OFF_DATA		0ULL
#define HSPAN_OFF_CONTROL	(1ULL << 40)
#define HSPAN_OFF_PAGE_MAP	(2ULL << 40)
#define HSPAN_OFF_BITS		(3ULL << 40)
#define HSPAN_OFF_NOTES		(4ULL << 40)
#define HSPAN_BITS_STRIDE	128
#define HSPAN_BITS_PLANES	2

/*
 * Notes: how clients that share an arena sweep a span once, even if one of
 * them dies at it.
 *
 * Whoever holds an unswept span may sweep it: the mark bits become the
 * allocation bits and the mark bits zero.  If the client dies before it has
 * put the span back, the kernel cannot know how far it came, and hands the
 * span out as unswept once more.  Sweeping it again would free all that lives.
 * So, with @gen the sweepgen that the span is swept in (its last one, as
 * handed out, + 1):
 *
 *	if the note is not HSPAN_NOTE_SWEPT(@gen):
 *		if it is not HSPAN_NOTE_COPIED(@gen):
 *			copy the mark bits over the allocation bits
 *			note = HSPAN_NOTE_COPIED(@gen)		store-release
 *		clear the mark bits
 *		note = HSPAN_NOTE_SWEPT(@gen)			store-release
 *	count free slots by the allocation bits, allocate, put back
 *
 * Each step may be done again from its beginning without harm, for what it
 * reads is written only by the next one.  Allocation comes after the last.
 * A client dies between two instructions, and what it stored before is seen by
 * whoever gets the span next: so nothing more than program order is needed, but
 * compilers have to keep it.
 * A new span needs no note: an old one at its page is of an earlier cycle.
 */
#define HSPAN_NOTE_COPIED(sweepgen)	((__u32)(sweepgen) << 1)
#define HSPAN_NOTE_SWEPT(sweepgen)	(((__u32)(sweepgen) << 1) | 1)

/**
 * struct hspan_control - what the kernel tells every client of an arena
 * @sweepgen: collection cycles so far; starts at 1
 * @pressure: the machine's need of memory: 0 = none, 1 = free blocks were taken,
 *	2 = more is wanted.  poll() tells by POLLPRI that memory was wanted.
 * @nr_unswept: spans on the unswept lists of this sweepgen
 * @blocks_held: blocks that back the arena now
 * @blocks_free: of those, blocks with no span in them
 */
struct hspan_control {
	__u32 sweepgen;
	__u32 pressure;
	__u32 nr_unswept;
	__u32 blocks_held;
	__u32 blocks_free;
	__u32 reserved[11];
};

/* struct hspan_device_info.features */
#define HSPAN_FEATURE_NAMED	(1ULL << 0) /* arenas with names */
#define HSPAN_FEATURE_DONTFORK	(1ULL << 1) /* HSPAN_ARENA_DONTFORK */
#define HSPAN_FEATURE_SNAPSHOT	(1ULL << 2) /* HSPAN_ARENA_SNAPSHOT */

/**
 * struct hspan_device_info - HSPAN_IOC_DEVICE_INFO, on the device or an arena
 * @abi_version: HSPAN_ABI_VERSION of the module
 * @nr_span_classes: span classes the module knows (size classes * 2)
 * @features: HSPAN_FEATURE_* bits
 * @pool_free: blocks waiting in the pool
 * @pool_zeroed: of those, blocks already zeroed
 */
struct hspan_device_info {
	__u32 abi_version;
	__u32 nr_span_classes;
	__u64 features;
	__u64 pool_free;
	__u64 pool_zeroed;
};

/* struct hspan_arena_create.flags */
#define HSPAN_ARENA_DONTFORK	(1U << 0) /* a fork's child has no mapping of it */
#define HSPAN_ARENA_SNAPSHOT	(1U << 1) /* HSPAN_IOC_SNAPSHOT may be used */

#define HSPAN_NAME_SIZE		32	/* of a name, with a zero at the end */

/**
 * struct hspan_arena_create - HSPAN_IOC_ARENA_CREATE, on the device
 * @size: bytes of address range, a multiple of the block size
 * @limit: blocks the arena may hold at once; 0 = the module's default
 * @base: preferred address for the data mapping, or 0
 * @flags: HSPAN_ARENA_*
 * @fd_flags: O_CLOEXEC or 0
 * @name: for HSPAN_IOC_ARENA_FIND, or empty: graphic ASCII characters but '/',
 *	then zeros
 * @mode: who may open it by name: permission bits 0666, as of a file that
 *	belongs to the caller; must be 0 without a name
 * @reserved: must be 0
 *
 * Returns the arena's file descriptor; the caller is its first client, and
 * pays for all that the arena will hold.
 * Errors: EINVAL size, base, flags, name, mode; ENAMETOOLONG no zero at the
 * end; EEXIST an arena of the caller's user namespace has that name; EDQUOT
 * the user may hold no more; ENOMEM; EMFILE, ENFILE.
 *
 * The first version ends after @fd_flags.
 */
struct hspan_arena_create {
	__u64 size;
	__u64 limit;
	__u64 base;
	__u32 flags;
	__u32 fd_flags;
	char name[HSPAN_NAME_SIZE];
	__u32 mode;
	__u32 reserved;
};

/**
 * struct hspan_arena_info - HSPAN_IOC_ARENA_INFO
 * @size: bytes of address range
 * @base: preferred address (0 = none given)
 * @limit: most blocks the arena may hold
 * @id: number of the arena, unique while the module is loaded
 * @client: number of this client in the arena, from 1
 * @flags: as created
 */
struct hspan_arena_info {
	__u64 size;
	__u64 base;
	__u64 limit;
	__u64 id;
	__u32 client;
	__u32 flags;
};

/**
 * struct hspan_arena_open - HSPAN_IOC_ARENA_OPEN, on an arena fd
 * @flags: must be 0
 * @fd_flags: O_CLOEXEC or 0
 *
 * Returns a new fd: another client of the same arena.  The child of a fork is the
 * same client as its parent until it does this.
 */
struct hspan_arena_open {
	__u32 flags;
	__u32 fd_flags;
};

/* struct hspan_span.flags */
#define HSPAN_SPAN_FRESH	(1U << 0) /* all bytes zero, no slot in use */
#define HSPAN_SPAN_UNSWEPT	(1U << 1) /* must be swept before use */
#define HSPAN_SPAN_EMPTY	(1U << 2) /* no slot in use, bytes unknown */

/**
 * struct hspan_span - a span handed to a client, who holds it from then on
 * @page: index of its first page in the arena
 * @npages: pages
 * @span_class: size class * 2 + noscan
 * @flags: HSPAN_SPAN_*
 * @nfree: free slots when it was last put back (all, when fresh or empty)
 * @sweepgen: the cycle in which it was last swept
 */
struct hspan_span {
	__u32 page;
	__u32 npages;
	__u16 span_class;
	__u16 flags;
	__u32 nfree;
	__u32 sweepgen;
	__u32 reserved;
};

#define HSPAN_BATCH_MAX		256	/* spans in one call */

/* struct hspan_span_get.flags */
#define HSPAN_GET_FRESH		(1U << 0) /* only unused pages, no old spans */

/**
 * struct hspan_span_get - HSPAN_IOC_SPAN_GET: take spans
 * @spans: user pointer to @nr struct hspan_span, filled in
 * @nr: how many are wanted (1 to HSPAN_BATCH_MAX); on return, how many came
 * @span_class: of all of them
 * @npages: for large spans, pages; for others 0
 * @flags: HSPAN_GET_*
 *
 * Fewer than asked is success; none is an error: ENOMEM no memory,
 * EDQUOT the limit of the arena or of its user is reached, ENOSPC no range of addresses is long enough,
 * EINVAL class, pages, flags or @nr; EFAULT the caller cannot be told, and
 * has got none.
 */
struct hspan_span_get {
	__u64 spans;
	__u32 nr;
	__u32 span_class;
	__u32 npages;
	__u32 flags;
};

/**
 * struct hspan_put - one span to put back
 * @page: index of its first page
 * @nfree: slots free in it now; all of them = its pages become free
 * @sweepgen: the cycle in which it was last swept: the current one, or (then
 *	@nfree is not looked at, and it joins the unswept) the one before
 * @error: out: 0, or why this span was refused: ENOENT no span starts there,
 *	EPERM not held by this client, EALREADY held by nobody, EINVAL nfree
 *	or sweepgen cannot be
 */
struct hspan_put {
	__u32 page;
	__u32 nfree;
	__u32 sweepgen;
	__s32 error;
};

/**
 * struct hspan_span_put - HSPAN_IOC_SPAN_PUT: give spans back
 * @puts: user pointer to @nr struct hspan_put
 * @nr: 1 to HSPAN_BATCH_MAX; on return, how many were taken back
 * @flags: must be 0
 *
 * Each entry is judged by itself; the call's errno is that of the first one
 * refused, with every good entry done and every @error filled in.  EFAULT
 * before anything was done leaves @nr as it was.
 */
struct hspan_span_put {
	__u64 puts;
	__u32 nr;
	__u32 flags;
};

/**
 * struct hspan_sweep_next - HSPAN_IOC_SWEEP_NEXT: take spans to sweep
 * @spans: user pointer to @nr struct hspan_span, filled in
 * @nr: 1 to HSPAN_BATCH_MAX; on return how many came, 0 = none is left
 * @flags: must be 0
 */
struct hspan_sweep_next {
	__u64 spans;
	__u32 nr;
	__u32 flags;
};

/**
 * struct hspan_cycle - HSPAN_IOC_CYCLE: every span has to be swept again
 * @flags: must be 0
 * @sweepgen: out: the new sweepgen
 *
 * EBUSY while unswept spans of the current cycle remain on the lists.
 */
struct hspan_cycle {
	__u32 flags;
	__u32 sweepgen;
};

/**
 * struct hspan_release - HSPAN_IOC_RELEASE: give free blocks back to the pool
 * @max: at most this many blocks
 * @released: out
 * @flags: must be 0
 */
struct hspan_release {
	__u64 max;
	__u64 released;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct hspan_limit - HSPAN_IOC_LIMIT: most blocks the arena may hold
 * @limit: in blocks, at least 1; one below what is held only stops growth
 * @flags: must be 0
 */
struct hspan_limit {
	__u64 limit;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct hspan_arena_stats - HSPAN_IOC_STATS: counters of an arena
 * @sweepgen: collection cycles so far
 * @nr_unswept: spans still to be swept in this cycle
 * @blocks_held: blocks that back the arena
 * @blocks_free: of those, with no span in them
 * @blocks_grown: blocks ever taken from the pool
 * @blocks_released: blocks ever given back
 * @pages_used: pages inside spans
 * @spans: spans that exist
 * @spans_held: of those, held by clients
 * @spans_cached: of those, in CPU caches
 * @gets: spans handed out
 * @puts: spans taken back
 * @cache_hits: gets answered by a CPU cache
 * @central_hits: gets answered by a central list
 * @page_heap_hits: gets answered with free pages
 * @faults: page faults of the data region (module only)
 * @clients: open clients
 */
struct hspan_arena_stats {
	__u32 sweepgen;
	__u32 nr_unswept;
	__u64 blocks_held;
	__u64 blocks_free;
	__u64 blocks_grown;
	__u64 blocks_released;
	__u64 pages_used;
	__u64 spans;
	__u64 spans_held;
	__u64 spans_cached;
	__u64 gets;
	__u64 puts;
	__u64 cache_hits;
	__u64 central_hits;
	__u64 page_heap_hits;
	__u64 faults;
	__u64 clients;
};

/**
 * struct hspan_arena_find - HSPAN_IOC_ARENA_FIND, on the device
 * @name: as given to HSPAN_IOC_ARENA_CREATE
 * @flags: must be 0
 * @fd_flags: O_CLOEXEC or 0
 *
 * Returns a new fd: another client of the arena that has this name in the
 * caller's user namespace, if the caller may read and write it by its owner
 * and mode, which fstat() of the fd tells.
 * Errors: ENOENT, EACCES; EINVAL name, flags; ENAMETOOLONG; EDQUOT, ENOMEM,
 * EMFILE, ENFILE.
 */
struct hspan_arena_find {
	char name[HSPAN_NAME_SIZE];
	__u32 flags;
	__u32 fd_flags;
};

/**
 * struct hspan_snapshot_take - HSPAN_IOC_SNAPSHOT, on an arena fd
 * @budget: most blocks that the snapshot may come to hold for itself; 0 = as
 *	many as the arena's user may hold
 * @flags: must be 0
 * @fd_flags: O_CLOEXEC or 0
 *
 * Returns a snapshot fd: a read-only image of the arena's data at one instant
 * between call and return.  mmap() takes MAP_SHARED, PROT_READ and the offsets of
 * the data region.  In the image are the blocks that held a span at the instant;
 * elsewhere access raises SIGBUS.  Writers of the arena are not held up but for
 * the instant, and while a block is copied that they are the first to write.
 *
 * The snapshot ends with its last descriptor and mapping, and keeps the arena
 * until then.
 *
 * If a block that is written cannot be copied the snapshot is broken, for good:
 * that block is not in the image any more, poll() gives POLLERR, and struct
 * hspan_snapshot_info.error says why.  Whoever has read the image should look
 * there afterwards: what was read before it was broken is right.
 *
 * Errors: EOPNOTSUPP the arena was created without HSPAN_ARENA_SNAPSHOT; EBUSY
 * it has a snapshot; ENOSPC more blocks than @budget were in use by the kernel
 * at the instant, and had to be copied; EHWPOISON one of these has a memory
 * error; EINVAL flags; EINTR killed; EDQUOT the arena's user may hold no more;
 * ENOMEM; EMFILE, ENFILE.
 */
struct hspan_snapshot_take {
	__u64 budget;
	__u32 flags;
	__u32 fd_flags;
};

/* One bit for each block of the largest arena, in bytes. */
#define HSPAN_SNAPSHOT_MAP_MAX	(HSPAN_ARENA_MAX >> HSPAN_BLOCK_SHIFT >> 3)

/**
 * struct hspan_snapshot_info - HSPAN_IOC_SNAPSHOT_INFO, on a snapshot fd
 * @map: user pointer to @map_size bytes, or 0: filled with a bit for each block
 *	of the arena, set for those of the image at the instant
 * @map_size: multiple of 8, at most HSPAN_SNAPSHOT_MAP_MAX; bits beyond the
 *	arena's are zero
 * @error: out: 0, or the errno value for which the snapshot is broken: ENOSPC
 *	the budget was used up, EDQUOT the user's limit, ENOMEM, EHWPOISON
 * @arena: out: number of the arena
 * @size: out: bytes of address range, those of the arena
 * @budget: out: most blocks of its own
 * @blocks: out: blocks in the image at the instant
 * @copied: out: of those, blocks copied since, or at the instant
 * @kept: out: of those, blocks that the arena has given back since
 * @lost: out: of those, blocks that are not in the image any more
 * @faults: out: page faults of the image
 * @gate_ns: out: for how long writers had to wait at the instant
 *
 * @blocks less @copied, @kept and @lost are shared with the arena still;
 * @copied and @kept are blocks of the snapshot's own.
 */
struct hspan_snapshot_info {
	__u64 map;
	__u32 map_size;
	__u32 error;
	__u64 arena;
	__u64 size;
	__u64 budget;
	__u64 blocks;
	__u64 copied;
	__u64 kept;
	__u64 lost;
	__u64 faults;
	__u64 gate_ns;
};

#define HSPAN_IOC_MAGIC		0xB5
#define HSPAN_IOC_DEVICE_INFO	_IOR(HSPAN_IOC_MAGIC, 0x00, struct hspan_device_info)
#define HSPAN_IOC_ARENA_CREATE	_IOW(HSPAN_IOC_MAGIC, 0x01, struct hspan_arena_create)
#define HSPAN_IOC_ARENA_INFO	_IOR(HSPAN_IOC_MAGIC, 0x02, struct hspan_arena_info)
#define HSPAN_IOC_ARENA_OPEN	_IOW(HSPAN_IOC_MAGIC, 0x03, struct hspan_arena_open)
#define HSPAN_IOC_SPAN_GET	_IOWR(HSPAN_IOC_MAGIC, 0x04, struct hspan_span_get)
#define HSPAN_IOC_SPAN_PUT	_IOWR(HSPAN_IOC_MAGIC, 0x05, struct hspan_span_put)
#define HSPAN_IOC_SWEEP_NEXT	_IOWR(HSPAN_IOC_MAGIC, 0x06, struct hspan_sweep_next)
#define HSPAN_IOC_CYCLE		_IOWR(HSPAN_IOC_MAGIC, 0x07, struct hspan_cycle)
#define HSPAN_IOC_RELEASE	_IOWR(HSPAN_IOC_MAGIC, 0x08, struct hspan_release)
#define HSPAN_IOC_LIMIT		_IOW(HSPAN_IOC_MAGIC, 0x09, struct hspan_limit)
#define HSPAN_IOC_STATS		_IOR(HSPAN_IOC_MAGIC, 0x0a, struct hspan_arena_stats)
#define HSPAN_IOC_ARENA_FIND	_IOW(HSPAN_IOC_MAGIC, 0x0b, struct hspan_arena_find)
#define HSPAN_IOC_SNAPSHOT	_IOW(HSPAN_IOC_MAGIC, 0x0c, struct hspan_snapshot_take)
#define HSPAN_IOC_SNAPSHOT_INFO	_IOWR(HSPAN_IOC_MAGIC, 0x0d, struct hspan_snapshot_info)

#endif /* _UAPI_LINUX_HUGESPAN_H */

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module's own objects, the locks that guard them, and what each file
 * offers to the others.
 *
 * Who refers to whom
 * ------------------
 *
 *	VMA, fd table -> file -> client -> arena -> inode, heap, slots, pages
 *	                   |  \             ^
 *	                   |   +-> snapshot -> inode, slots
 *	                   |
 *	                   +-> module (one reference for every open file)
 *
 * A VMA keeps its file, a file its client or snapshot, these their arena.  So
 * when an arena is freed no mapping of it or of a snapshot exists, and none can
 * be made.  Page tables
 * let go of pages before their VMA does of its file.  What is left are references
 * of pipes and devices, and memory failure, which takes the folio's lock.
 *
 * Who owns a block's folio
 * ------------------------
 *
 * A folio has exactly one owner, who holds the owner's reference:
 *
 *	the pool	on one list of one node (hspan_pool_node.lock);
 *	an arena	in hspan_arena.slots, which only the heap's block_get,
 *			block_put and block_try_put change, one at a time for a
 *			block; locked, or not yet mapped, when they do; and
 *			hspan_snapshot_unshare(), with the folio locked;
 *	a snapshot	in hspan_snapshot.slots, with its bit in .owned;
 *	stray.c		it was in use by someone else (a pipe, a device) when
 *			its arena gave it up; it is freed with the last user.
 *
 * Page tables, pipes and devices hold references besides the owner's.  A
 * folio goes from an arena to the pool only if, unmapped and out of its slot,
 * the owner's reference is the only one (folio_ref_freeze), so nobody can
 * see through an old reference what a later owner writes.
 *
 * Slots have no lock.  A fault handler reads one, tries to take a reference
 * (the folio may have gone to the system meanwhile), and looks at the slot
 * again: if the folio is still there, the reference is to this arena's block,
 * and who takes it out will see the reference, as he empties the slot before
 * he counts references, with a full barrier between.  If it is not, the
 * reference was to somebody else's page, of which nothing but the count was
 * touched: at worst a block of ours was held for that moment, and its next
 * owner makes it a stray.
 *
 * Then it locks the folio and looks at the slot once more: it is emptied only
 * under the folio's lock, and core mm keeps that lock until the folio is
 * mapped.  So whoever empties a slot under the lock and unmaps has unmapped
 * everything.  Pages of the side regions live by the same rule with the xarray
 * in place of the slots, and its lock for taking references.
 *
 * Snapshots
 * ---------
 *
 * A folio that is in a snapshot's slot and not owned by it is the arena's, and
 * shared: from the instant on, until the arena gets another or gives it up, which
 * makes it the snapshot's, or the snapshot ends or loses it.  folio->mapping is
 * the arena's all the time, as futexes are found by it.
 *
 * A shared folio cannot be written.  At the instant the gate is closed, so that no
 * fault is under way, everything is unmapped, and a folio to which there still
 * is a reference beside the owner's is copied instead of shared.  After it the
 * arena maps it read-only, and page_mkwrite, which sees that nobody shares it,
 * comes before the first writable mapping, or write reference.
 *
 * Slots of an arena that can have snapshots, and hspan_arena.snapshot, change only
 * with the gate held; but for an empty slot that is filled.
 *
 * Who pays
 * --------
 *
 * An arena's user (user.c) is charged, for as long as it exists, for: the arena
 * with all its tables, page map and notes when it is created, a snapshot with its
 * tables and each block it owns, a block with
 * its bits when the heap gets it, its descriptors when it gets it for the first
 * time, a page of bits that is touched where no block is, and a client; and
 * beyond its end for a stray block.
 *
 * Lock order (outer first)
 * ------------------------
 *
 *	mmap_lock, VMA lock			core mm
 *	 hspan_arena.gate			under reclaim only by trylock
 *	  folio lock, page lock			side pages by rising index
 *	    i_mmap_rwsem -> page table lock	core mm
 *	    hspan_arena.side (xa_lock)
 *	    hspan_pool_node.lock
 *	cpu_hotplug_lock, hspan_cache_lock	core, when a CPU goes; cache.c
 *	  hspan_arenas_lock			under reclaim only by trylock
 *	    folio lock, page lock			there, too, only by trylock
 *	hspan_pool.preparing -> hspan_pool_node.lock
 *	hspan_names_lock
 *	hspan_strays_lock
 *	hspan_users (xa_lock)
 *
 * Who has the gate may allocate, and so may who has a folio's lock.  Nobody waits
 * for the gate with a reference to a folio, or with its lock.
 *
 * Spinlocks and xa_locks are leaves: nothing is taken and nothing sleeps under them.
 * Who reads an attribute of an arena keeps it from being removed, and takes the
 * heap's locks; it is removed, and the readers waited for, under no lock.
 * Neither mmap_lock nor a copy from or to user space comes under any of these.
 * The heap's own order is in heap/heap.h; it calls block_get, page_map and
 * block_put with none of its locks held.
 */
#ifndef _HUGESPAN_H
#define _HUGESPAN_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <linux/hugespan.h>

#include "compat.h"
#include "heap/heap.h"

#define HSPAN_BLOCK_ORDER	(HSPAN_BLOCK_SHIFT - PAGE_SHIFT)
#define HSPAN_BLOCK_NR		(1UL << HSPAN_BLOCK_ORDER) /* system pages */

/* Bytes of page map, one plane of bits, and notes that belong to a block. */
#define HSPAN_PAGE_MAP_BLOCK	(HSPAN_BLOCK_PAGES * sizeof(__u32))
#define HSPAN_BITS_BLOCK	(HSPAN_BLOCK_PAGES * HSPAN_BITS_STRIDE)
#define HSPAN_NOTES_BLOCK	(HSPAN_BLOCK_PAGES * sizeof(__u32))

struct dentry;
struct hspan_call;
struct hspan_snapshot;
struct miscdevice;
struct seq_file;
struct user_namespace;

/* ---- pool.c: blocks that belong to no arena ---- */

enum hspan_stock {
	HSPAN_STOCK_FREE,	/* charged to somebody; go back to the system */
	HSPAN_STOCK_RESERVE,	/* charged to nobody; kept until unloading */
	HSPAN_NR_STOCKS,
};

/**
 * struct hspan_pool_stock - waiting blocks of one kind
 * @clean: folios known to be all zero
 * @dirty: folios with an earlier owner's bytes in them
 * @nr_clean: length of @clean
 * @nr_dirty: length of @dirty
 * @nr_in_hand: those on neither list, as they are being zeroed
 */
struct hspan_pool_stock {
	struct list_head clean;
	struct list_head dirty;
	unsigned long nr_clean;
	unsigned long nr_dirty;
	unsigned long nr_in_hand;
};

/**
 * struct hspan_pool_node - a node's waiting blocks
 * @lock: guards all of the below
 * @stock: by kind
 */
struct hspan_pool_node {
	spinlock_t lock;
	struct hspan_pool_stock stock[HSPAN_NR_STOCKS];
} ____cacheline_aligned_in_smp;

/**
 * struct hspan_pool - source and sink of blocks
 * @nodes: one for each possible node; set once
 * @low: free blocks to get ready on each node with memory; written by sysfs,
 *	read unlocked
 * @high: most free blocks that may wait on a node; likewise
 * @preparing: held while a block is in hand; for those who wait that none is
 * @wait: where the zeroing thread sleeps
 * @thread: the zeroing thread, or NULL; set once
 * @fill_after: jiffies before which it takes nothing from the system; no lock,
 *	as a torn read does no harm
 * @nr_reserved: blocks of the reserve, waiting or in use
 * @in_use: blocks that arenas hold
 * @nr_allocated: blocks ever taken from the system
 * @nr_freed: blocks ever given back to the system
 * @nr_recycled: takes answered from a list
 * @nr_zeroed: blocks cleared when they were taken
 * @nr_prepared: blocks cleared by the thread
 * @nr_prefilled: blocks the thread took from the system
 * @nr_lost: blocks left to other holders of references
 * @nr_failed: takes that found no memory
 * @nr_poisoned: blocks with a hardware memory error, kept away for good
 */
struct hspan_pool {
	struct hspan_pool_node *nodes;
	unsigned long low;
	unsigned long high;
	struct mutex preparing;
	wait_queue_head_t wait;
	struct task_struct *thread;
	unsigned long fill_after;
	atomic_long_t nr_reserved;
	atomic_long_t in_use;
	atomic_long_t nr_allocated;
	atomic_long_t nr_freed;
	atomic_long_t nr_recycled;
	atomic_long_t nr_zeroed;
	atomic_long_t nr_prepared;
	atomic_long_t nr_prefilled;
	atomic_long_t nr_lost;
	atomic_long_t nr_failed;
	atomic_long_t nr_poisoned;
};

extern struct hspan_pool hspan_pool;

int hspan_pool_init(struct hspan_pool *pool, unsigned long high);
void hspan_pool_exit(struct hspan_pool *pool);
struct folio *hspan_pool_take(struct hspan_pool *pool, bool zero);
void hspan_pool_put(struct hspan_pool *pool, struct folio *folio);
void hspan_pool_give(struct hspan_pool *pool, struct folio *folio);
bool hspan_pool_forget(struct hspan_pool *pool, struct folio *folio);
unsigned long hspan_pool_shrink(struct hspan_pool *pool, unsigned long nr);
void hspan_pool_set_high(struct hspan_pool *pool, unsigned long high);
unsigned long hspan_pool_reserve(struct hspan_pool *pool, unsigned long nr);
unsigned long hspan_pool_nr_free(struct hspan_pool *pool,
				 enum hspan_stock kind);
unsigned long hspan_pool_nr_clean(struct hspan_pool *pool);

/* for poolthread.c */
bool hspan_pool_prepare(struct hspan_pool *pool);
bool hspan_pool_prefill(struct hspan_pool *pool);
bool hspan_pool_has_dirty(struct hspan_pool *pool);
bool hspan_pool_is_low(struct hspan_pool *pool);

/* ---- poolthread.c: zeroing ahead, in the background ---- */

int hspan_poolthread_start(struct hspan_pool *pool);
void hspan_poolthread_stop(struct hspan_pool *pool);
void hspan_poolthread_wake(struct hspan_pool *pool);
void hspan_poolthread_pause(struct hspan_pool *pool);
void hspan_poolthread_set_low(struct hspan_pool *pool, unsigned long low);

/* ---- arena.c: arenas and their clients ---- */

/**
 * struct hspan_arena - one heap and the memory under it
 * @ref: one for each client
 * @node: in hspan_arenas (hspan_arenas_lock)
 * @id: number, never used again while the module is loaded; set once
 * @size: bytes of address range; set once
 * @base: preferred address, or 0; set once
 * @nr_blocks: @size in blocks; set once
 * @inode: owns the address_space of all mappings; set once
 * @flags: HSPAN_ARENA_*; set once
 * @name: ends in zeros, or empty; set once
 * @name_ns: where @name counts, or NULL if it was not added; set once
 * @name_node: in hspan_names (hspan_names_lock)
 * @user: who pays; set once
 * @unlimited: @user's limit does not count here; set once
 * @charged: bytes that @user pays for
 * @tables: of those, for what stays until the end
 * @pool: where blocks come from; set once
 * @heap: who has which pages; locks itself
 * @slots: the folio behind each block, or NULL; see the rules above
 * @gate: what may change a slot or make a block writable goes on with it held for
 *	reading, in arenas that can have snapshots; taken for writing at the
 *	instant of a snapshot, and at its end
 * @snapshot: the one there is, or NULL (@gate)
 * @snapshot_budget: most blocks a snapshot may have of its own; written by sysfs
 * @nr_snapshots: snapshots ever taken
 * @nr_broken: of those, broken
 * @nr_copied: blocks copied for them
 * @gate_ns: for how long the last one's gate was closed (@gate)
 * @ending: nothing maps it and nobody can: blocks need not be unmapped, and
 *	bits are left to hspan_side_free(); set once
 * @side: pages of the CONTROL, PAGE_MAP, BITS and NOTES regions by
 *	offset in system pages; guarded by its xa_lock and the page lock, as above
 * @client_ids: numbers of open clients; locks itself
 * @nr_clients: open clients
 * @faults: page faults of the data region
 * @wait: clients that poll
 * @nr_pressed: periods in which memory was asked for while they could poll
 * @debugfs: its directory in debugfs, or an error that debugfs knows
 * @kobj: its directory in sysfs; no reference to the arena, which removes it
 * @kobj_released: the arena may be freed as far as @kobj is concerned
 */
struct hspan_arena {
	struct kref ref;
	struct list_head node;
	u64 id;
	u64 size;
	u64 base;
	u32 nr_blocks;
	u32 flags;
	char name[HSPAN_NAME_SIZE];
	struct user_namespace *name_ns;
	struct hlist_node name_node;
	struct hspan_user *user;
	bool unlimited;
	atomic_long_t charged;
	atomic_long_t tables;
	struct inode *inode;
	struct hspan_pool *pool;
	struct hspan_heap *heap;
	struct folio **slots;
	struct rw_semaphore gate;
	struct hspan_snapshot *snapshot;
	unsigned long snapshot_budget;
	atomic_long_t nr_snapshots;
	atomic_long_t nr_broken;
	atomic_long_t nr_copied;
	u64 gate_ns;
	bool ending;
	struct xarray side;
	struct ida client_ids;
	atomic_t nr_clients;
	atomic64_t faults;
	wait_queue_head_t wait;
	atomic_t nr_pressed;
	struct dentry *debugfs;
	struct kobject kobj;
	struct completion kobj_released;
};

/**
 * struct hspan_client - one open file of an arena; what file->private_data is
 * @arena: holds a reference; set once
 * @id: holder number in the heap, from 1; set once
 * @nr_pressed: the arena's, when a poll last told of it
 */
struct hspan_client {
	struct hspan_arena *arena;
	u32 id;
	atomic_t nr_pressed;
};

/* Can it have snapshots?  Then its faults and slots are gated. */
static inline bool hspan_is_gated(const struct hspan_arena *arena)
{
	return arena->flags & HSPAN_ARENA_SNAPSHOT;
}

extern const struct file_operations hspan_arena_fops;

struct hspan_arena *hspan_arena_create(struct hspan_pool *pool,
				       const struct hspan_arena_create *args);
void hspan_arena_put(struct hspan_arena *arena);
struct inode *hspan_inode_create(u64 size, umode_t mode);
void hspan_inode_put(struct inode *inode);
struct file *hspan_file_open(struct inode *inode, unsigned int flags,
			     const struct file_operations *fops);
struct file *hspan_client_open(struct hspan_arena *arena, unsigned int flags);
int hspan_client_fd(struct hspan_arena *arena, unsigned int fd_flags);
void hspan_arena_stats(struct hspan_arena *arena,
		       struct hspan_arena_stats *st);
unsigned long hspan_arenas_count(void);
unsigned long hspan_arenas_nr_free(void);
unsigned long hspan_arenas_try_release(unsigned long nr);
void hspan_arenas_press(unsigned int level, bool asked);
void hspan_arenas_each(void (*fn)(struct hspan_arena *arena, void *arg),
		       void *arg);
extern unsigned long hspan_default_limit;

/* ---- cache.c: the CPU caches of all arenas ---- */

extern const struct attribute_group hspan_cache_group;

int hspan_cache_start(void);
void hspan_cache_stop(void);
void hspan_cache_apply(struct hspan_arena *arena);

/* ---- user.c: what a user may make the kernel hold ---- */

/**
 * struct hspan_user - who created arenas that exist
 * @uid: real user ID; set once
 * @refs: how many, and stray blocks of theirs (xa_lock of hspan_users)
 * @charged: bytes that these arenas and blocks were charged
 */
struct hspan_user {
	kuid_t uid;
	unsigned long refs;
	atomic_long_t charged;
};

extern unsigned long hspan_user_limit;

int hspan_user_join(struct hspan_arena *arena);
void hspan_user_leave(struct hspan_arena *arena);
struct hspan_user *hspan_user_hold(struct hspan_user *user,
				   unsigned long bytes);
void hspan_user_release(struct hspan_user *user, unsigned long bytes);
int hspan_charge(struct hspan_arena *arena, unsigned long bytes);
void hspan_uncharge(struct hspan_arena *arena, unsigned long bytes);
unsigned long hspan_users_sum(unsigned long *nr);

/* ---- stray.c: blocks that are in use elsewhere ---- */

void hspan_stray_add(struct hspan_arena *arena, struct folio *folio);
unsigned long hspan_strays_reap(void);
unsigned long hspan_strays_count(void);
void hspan_strays_exit(void);

/* ---- name.c: names of arenas ---- */

int hspan_name_check(const char *name);
int hspan_name_add(struct hspan_arena *arena);
void hspan_name_del(struct hspan_arena *arena);
struct hspan_arena *hspan_name_open(const char *name);

/* ---- pressure.c: when the machine needs memory ---- */

extern atomic_long_t hspan_nr_reclaimed;

int hspan_pressure_start(void);
void hspan_pressure_stop(void);
unsigned int hspan_pressure_level(void);

/* ---- mapping.c: regions and page faults ---- */

enum hspan_region {
	HSPAN_REGION_DATA,
	HSPAN_REGION_CONTROL,
	HSPAN_REGION_PAGE_MAP,
	HSPAN_REGION_BITS,
	HSPAN_REGION_NOTES,
	HSPAN_NR_REGIONS,
};

u64 hspan_region_size(const struct hspan_arena *arena,
		      enum hspan_region region);
int hspan_region_find(const struct hspan_arena *arena, u64 pgoff, u64 nr_pages);
int hspan_mmap(struct file *file, struct vm_area_struct *vma);
int hspan_snapshot_mmap(struct file *file, struct vm_area_struct *vma);
struct folio *hspan_slot_lock(struct folio **slot);
struct folio *hspan_slot_trylock(struct folio **slot);

/* ---- side.c: pages of the regions beside the data ---- */

struct page *hspan_side_get(struct hspan_arena *arena, pgoff_t pgoff);
struct page *hspan_side_lock(struct hspan_arena *arena, pgoff_t pgoff);
bool hspan_side_is(struct hspan_arena *arena, pgoff_t pgoff, struct page *page);

/* System pages of bits that belong to one block, in each plane. */
#define HSPAN_BITS_BLOCK_NR	(HSPAN_BITS_BLOCK >> PAGE_SHIFT)

/**
 * struct hspan_side_bits - locked pages of one block's bits
 * @nr: how many
 * @pages: with a reference each, besides the xarray's
 * @pgoff: where they are
 */
struct hspan_side_bits {
	unsigned int nr;
	struct page *pages[HSPAN_BITS_PLANES * HSPAN_BITS_BLOCK_NR];
	pgoff_t pgoff[HSPAN_BITS_PLANES * HSPAN_BITS_BLOCK_NR];
};

bool hspan_side_lock_bits(struct hspan_arena *arena, u32 block, bool try,
			  struct hspan_side_bits *bits);
void hspan_side_unlock_bits(struct hspan_side_bits *bits);
void hspan_side_drop_bits(struct hspan_arena *arena, u32 block,
			  struct hspan_side_bits *bits);
void hspan_side_free(struct hspan_arena *arena);

/* ---- block.c: what the heap asks of its arena ---- */

extern const struct hspan_heap_ops hspan_arena_heap_ops;

void hspan_block_fill(struct hspan_arena *arena, u32 block,
		      struct folio *folio);
void hspan_block_init(struct hspan_arena *arena, u32 block,
		      struct folio *folio);
void hspan_block_discard(struct hspan_arena *arena, struct folio *folio);

/* ---- snapshot.c: images of an arena, copied where it is written ---- */

/**
 * struct hspan_snapshot - an arena's data as it was; what a file's private_data is
 * @arena: holds a reference; set once
 * @inode: owns the address_space of its mappings; set once
 * @budget: most blocks of its own; set once
 * @slots: the folio behind each block of the image, or NULL: set at the instant,
 *	emptied under the folio's lock
 * @members: one bit a block: in the image at the instant
 * @owned: one bit a block: the folio is ours, not the arena's
 * @nr_blocks: bits in @members
 * @nr_owned: bits in @owned, and copies that are being made; at most @budget
 * @nr_copied: blocks copied
 * @nr_kept: blocks that the arena gave back
 * @nr_lost: blocks no more in the image
 * @faults: page faults
 * @gate_ns: for how long the gate was closed
 * @error: 0, or the first errno for which a block was lost
 * @wait: who polls
 *
 * @slots, @owned and their counters change under the arena's gate and the
 * folio's lock, as long as hspan_arena.snapshot is this one.
 */
struct hspan_snapshot {
	struct hspan_arena *arena;
	struct inode *inode;
	u64 budget;
	struct folio **slots;
	unsigned long *members;
	unsigned long *owned;
	unsigned long nr_blocks;
	atomic_long_t nr_owned;
	atomic_long_t nr_copied;
	atomic_long_t nr_kept;
	atomic_long_t nr_lost;
	atomic64_t faults;
	u64 gate_ns;
	int error;
	wait_queue_head_t wait;
};

struct hspan_snapshot *hspan_snapshot_create(struct hspan_arena *arena,
					     u64 budget);
int hspan_snapshot_take(struct hspan_snapshot *snap);
void hspan_snapshot_destroy(struct hspan_snapshot *snap);
bool hspan_snapshot_unshare(struct hspan_arena *arena, u32 block,
			    struct folio *folio);
bool hspan_snapshot_keep(struct hspan_arena *arena, u32 block,
			 struct folio *folio);

/* ---- cmd_snapshot.c: files of snapshots, and their ioctls ---- */

long hspan_cmd_snapshot(struct hspan_call *call);
long hspan_cmd_snapshot_info(struct hspan_call *call);

/* ---- ioctl.c: from a command number to a handler ---- */

union hspan_ioctl_arg {
	struct hspan_device_info device_info;
	struct hspan_arena_create arena_create;
	struct hspan_arena_info arena_info;
	struct hspan_arena_open arena_open;
	struct hspan_span_get span_get;
	struct hspan_span_put span_put;
	struct hspan_sweep_next sweep_next;
	struct hspan_cycle cycle;
	struct hspan_release release;
	struct hspan_limit limit;
	struct hspan_arena_stats stats;
	struct hspan_arena_find arena_find;
	struct hspan_snapshot_take snapshot_take;
	struct hspan_snapshot_info snapshot_info;
};

/**
 * struct hspan_call - one ioctl on its way
 * @client: who calls; NULL on the device and on a snapshot
 * @snap: the snapshot it is about, or NULL
 * @uarg: the caller's struct
 * @usize: bytes in it
 * @ksize: bytes this module knows
 * @written: its outcome has been copied out, or must not be
 * @arg: the struct as this module knows it
 */
struct hspan_call {
	struct hspan_client *client;
	struct hspan_snapshot *snap;
	void __user *uarg;
	size_t usize;
	size_t ksize;
	bool written;
	union hspan_ioctl_arg arg;
};

int hspan_call_read(struct hspan_call *call);
int hspan_call_write(struct hspan_call *call);
void hspan_ioctl_refused(const struct hspan_client *client, unsigned int cmd,
			 long err);
long hspan_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long hspan_arena_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
long hspan_snapshot_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg);

/* ---- cmd_arena.c, cmd_span.c: handlers ---- */

long hspan_cmd_device_info(struct hspan_call *call);
long hspan_cmd_arena_create(struct hspan_call *call);
long hspan_cmd_arena_info(struct hspan_call *call);
long hspan_cmd_arena_open(struct hspan_call *call);
long hspan_cmd_limit(struct hspan_call *call);
long hspan_cmd_stats(struct hspan_call *call);
long hspan_cmd_arena_find(struct hspan_call *call);

long hspan_span_get(struct hspan_client *client,
		    struct hspan_span_get __user *uargs);
long hspan_span_put(struct hspan_client *client,
		    struct hspan_span_put __user *uargs);
long hspan_cmd_span_get(struct hspan_call *call);
long hspan_cmd_span_put(struct hspan_call *call);
long hspan_cmd_sweep_next(struct hspan_call *call);
long hspan_cmd_cycle(struct hspan_call *call);
long hspan_cmd_release(struct hspan_call *call);

/* ---- fdinfo.c, sysfs.c, arena_sysfs.c, debugfs.c, main.c ---- */

void hspan_show_fdinfo(struct seq_file *m, struct file *file);
void hspan_snapshot_show_fdinfo(struct seq_file *m, struct file *file);
extern const struct attribute_group *hspan_sysfs_groups[];
extern struct miscdevice hspan_miscdev;

struct kobject *hspan_sysfs_arenas_dir(void);
void hspan_sysfs_exit(void);
int hspan_arena_sysfs_add(struct hspan_arena *arena);
void hspan_arena_sysfs_del(struct hspan_arena *arena);

void hspan_debugfs_init(void);
void hspan_debugfs_exit(void);
void hspan_arena_debugfs_add(struct hspan_arena *arena);
void hspan_arena_debugfs_del(struct hspan_arena *arena);

#endif /* _HUGESPAN_H */

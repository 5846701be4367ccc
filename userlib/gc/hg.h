/* SPDX-License-Identifier: MIT */
/*
 * What the files of the drop-in libgc share: tables of what the heap does not
 * know of, the locks, and the rules between mutators, collector and child.
 *
 * Two locks stand before all of the library's own (internal.h):
 *
 *	hg.alloc_lock	libgc's allocation lock, as far as programs can see it.
 *			Held by the collector from before the stop until dead
 *			links are cleared, and by GC_call_with_alloc_lock().
 *	hg.tables_lock	protects the tables.  Held for some loads and stores only; by
 *			the collector while threads are stopped, so that the image has
 *			tables that nobody is in the middle of changing.
 *
 * In that order.  Neither is taken in a handler or in the child.
 *
 * Why the first is held so long.  The child finds an object dead; until its links
 * are cleared, and that is after the child, they still lead to it.  Who reads a
 * hidden pointer must hold alloc_lock (gc.h says so), so he reads it before the
 * image, and then it is on his stack in the image, or after the links are
 * cleared.  What is dead in the image thus stays dead: its pointers were in dead
 * objects and cleared links only.
 */
#ifndef HG_H
#define HG_H

#define GC_THREADS
#define GC_BUILD
#define GC_DLL
#define GC_NO_THREAD_REDIRECTS
#include <gc/gc.h>
#include <gc/gc_inline.h>
#include <gc/gc_mark.h>
#include <gc/gc_typed.h>
#include <gc/javaxfc.h>

#include "bits.h"
#include "mark.h"

#define HG_NONE UINT32_MAX

enum hg_order { HG_NORMAL, HG_IGNORE_SELF, HG_NO_ORDER, HG_UNREACHABLE };

/* What the child says about an entry. */
enum hg_verdict { HG_CLEAR = 1, HG_DROP, HG_QUEUE };

/**
 * struct hg_entry - a link, an object with a finalizer, or one that is never freed
 * @key: by which it is found: the link, or the object; 0 = the entry is free
 * @obj: the object
 * @fn, @data: its finalizer
 * @born: images older than this one do not know the entry as it is
 * @order: enum hg_order
 * @queued: its finalizer is to be called; it is not found by its key any more
 * @next: entry of a list, of free ones or of queued ones
 */
struct hg_entry {
	uintptr_t key;
	uintptr_t obj;
	GC_finalization_proc fn;
	void *data;
	uint32_t born;
	uint8_t order;
	bool queued;
	uint32_t next;
};

/**
 * struct hg_table - entries that never move, and an index of them
 * @entry: @used of them were ever in use
 * @verdict: of the last image, by entry; shared with the child
 * @index: entries by key: an open hash of @mask + 1 slots, @filled of which are or
 *	were in use
 * @free: list of free entries
 * @count: entries in the index
 */
struct hg_table {
	struct hg_entry *entry;
	uint32_t *verdict;
	uint32_t *index;
	uint32_t used, mask, filled, free, count;
};

/* What an allocation has to look at besides: bits of hg.attention */
#define HG_NOT_READY   1
#define HG_CYCLE_ENDED 2
#define HG_FINALIZERS  4
#define HG_KINDS       8 /* hg.kinds is there */

/**
 * struct hg - the drop-in
 * @image: number of the last image, moves before each stop
 * @kinds: of objects, by 16 bytes of the heap: see kinds.c; NULL until some need it
 * @own_scans: some of those are not scanned word by word
 * @attention: what is zero when an allocation is nothing but that
 * @dont_gc: GC_disable() without its GC_enable()
 * @gc_no: collections
 */
struct hg {
	pthread_mutex_t alloc_lock, tables_lock;
	struct hg_table short_links, long_links, finalizers, uncollectable, threads;
	uint8_t *kinds;
	bool own_scans;
	uint32_t image;
	int attention;
	int dont_gc;
	uint64_t gc_no;
};

extern struct hg hg;

#define HG_UNCOLLECTABLE 0x80 /* in hg.kinds */

/* heap.c */
bool hg_ready(void);
void *hg_alloc(size_t size, bool noscan);
void *hg_out_of_memory(size_t size);
void hg_abort(const char *message) __attribute__((noreturn));

static inline size_t hg_round(size_t size, size_t extra)
{
	return (size + extra + 15) & ~15ul;
}

/* table.c */
struct hg_entry *hg_table_find(const struct hg_table *t, uintptr_t key);
struct hg_entry *hg_table_add(struct hg_table *t, uintptr_t key);
void hg_table_remove(struct hg_table *t, struct hg_entry *e);
void hg_table_unlist(struct hg_table *t, struct hg_entry *e);
void hg_table_release(struct hg_table *t, struct hg_entry *e);
bool hg_table_move(struct hg_table *t, struct hg_entry *e, uintptr_t key);
void hg_table_judge(struct hg_table *t, const struct hg_entry *e, enum hg_verdict v);
int hg_table_verdict(const struct hg_table *t, const struct hg_entry *e);

/* roots.c */
void hg_segments_gather(void);
bool hg_segments_settled(void);
void hg_roots_mark(struct hs_marker *m);

/* kinds.c */
uint8_t hg_kind(const void *p);
void hg_set_kind(void *p, uint8_t kind);
bool hg_kinds_make(void);
void *hg_kind_alloc(size_t size, unsigned int kind);
void *hg_kind_copy_of(const struct hs_object *o, size_t size);
bool hg_kind_scan(struct hs_marker *m, const struct hs_object *o);
void hg_scan_contents(struct hs_marker *m, uintptr_t obj, bool ignore_self);

/* image.c */
extern struct hs_hooks hg_hooks;
extern struct hs_marker *hg_marker;
bool hg_is_white(uintptr_t p);
void hg_mark_range(struct hs_marker *m, uintptr_t lo, uintptr_t hi);

/* links.c */
void hg_links_judge(struct hg_table *t);
void hg_links_judge_dangling(struct hg_table *t);
void hg_links_apply(struct hg_table *t);

/* finalize.c */
void hg_finalizers_mark_data(struct hs_marker *m);
void hg_finalizers_judge(struct hs_marker *m);
void hg_finalizers_apply(void);
void hg_attend(void);

/* fork.c */
void hg_fork_init(void);
void *hg_fork_alloc(size_t size);
bool hg_fork_size(const void *p, size_t *size);

static inline void hg_lock(void)
{
	pthread_mutex_lock(&hg.tables_lock);
}

static inline void hg_unlock(void)
{
	pthread_mutex_unlock(&hg.tables_lock);
}

#endif /* HG_H */

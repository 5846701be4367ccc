/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels this module builds for.  No other file
 * may look at the kernel's version; they are written for the newest one.
 */
#ifndef _HUGESPAN_COMPAT_H
#define _HUGESPAN_COMPAT_H

#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* Kernels that clear every variable on the stack spare one with this. */
#ifndef __uninitialized
#if __has_attribute(__uninitialized__)
#define __uninitialized	__attribute__((__uninitialized__))
#else
#define __uninitialized
#endif
#endif

/* What an inode operation is told of the mount. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define hspan_idmap			user_namespace
#define hspan_inode_permission(inode, mask) \
	inode_permission(&init_user_ns, inode, mask)
#else
#define hspan_idmap			mnt_idmap
#define hspan_inode_permission(inode, mask) \
	inode_permission(&nop_mnt_idmap, inode, mask)
#endif

/*
 * Without it, release_folio is not asked about folios with no private data,
 * and core mm may split a block: slower, but not wrong.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 71) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0) && \
	 LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0))
static inline void mapping_set_release_always(struct address_space *mapping)
{
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define hspan_memcg_kmem_online()	memcg_kmem_enabled()
#else
#define hspan_memcg_kmem_online()	memcg_kmem_online()
#endif

/*
 * Is @folio charged to the cgroup that a new allocation by the caller would
 * be charged to?  Without accounting every folio is.
 */
static inline bool hspan_folio_charged_here(struct folio *folio)
{
#ifdef CONFIG_MEMCG
	struct mem_cgroup *here;
	bool same;

	if (mem_cgroup_disabled() || !hspan_memcg_kmem_online())
		return true;
	rcu_read_lock();
	here = mem_cgroup_from_task(current);
	if (here && !here->css.parent)	/* the root is never charged */
		here = NULL;
	same = folio_memcg(folio) == here;
	rcu_read_unlock();
	return same;
#else
	return true;
#endif
}

/*
 * Has the cgroup that pays for @folio, or one above it, a limit?  There no
 * shrinker of ours is asked before the OOM killer is.
 */
static inline bool hspan_folio_limited(struct folio *folio)
{
	bool limited = false;
#ifdef CONFIG_MEMCG
	struct page_counter *counter;
	struct mem_cgroup *memcg;

	if (mem_cgroup_disabled())
		return false;
	rcu_read_lock();
	memcg = folio_memcg(folio);
	for (counter = memcg ? &memcg->memory : NULL; counter && !limited;
	     counter = counter->parent)
		limited = READ_ONCE(counter->max) != PAGE_COUNTER_MAX ||
			  READ_ONCE(counter->high) != PAGE_COUNTER_MAX;
	rcu_read_unlock();
#endif
	return limited;
}

/* A shrinker that is registered, or NULL. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline struct shrinker *
hspan_shrinker_start(const struct shrinker *from)
{
	struct shrinker *shrinker = kmemdup(from, sizeof(*from), GFP_KERNEL);

	if (shrinker && register_shrinker(shrinker, "hugespan")) {
		kfree(shrinker);
		shrinker = NULL;
	}
	return shrinker;
}

static inline void hspan_shrinker_stop(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(shrinker);
}
#else
static inline struct shrinker *
hspan_shrinker_start(const struct shrinker *from)
{
	struct shrinker *shrinker = shrinker_alloc(0, "hugespan");

	if (shrinker) {
		shrinker->count_objects = from->count_objects;
		shrinker->scan_objects = from->scan_objects;
		shrinker->batch = from->batch;
		shrinker->seeks = from->seeks;
		shrinker_register(shrinker);
	}
	return shrinker;
}

static inline void hspan_shrinker_stop(struct shrinker *shrinker)
{
	shrinker_free(shrinker);
}
#endif

#endif /* _HUGESPAN_COMPAT_H */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arenas and their clients: how they are made, opened and come to an end.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/poll.h>
#include <linux/pseudo_fs.h>
#include <linux/rwsem.h>
#include <linux/slab.h>

#include "hugespan.h"
#include "trace.h"

#define HSPAN_FS_MAGIC		0x48535041	/* "HSPA" */

/* Mounted while there are arenas; counted by simple_pin_fs(). */
static struct vfsmount *hspan_mnt;
static int hspan_mnt_count;

/* Arenas that exist, for counting; see the lock order. */
static LIST_HEAD(hspan_arenas);
static DECLARE_RWSEM(hspan_arenas_lock);
static unsigned long hspan_nr_arenas;

static atomic64_t hspan_arena_last_id = ATOMIC64_INIT(0);

/* In blocks; for arenas created with no limit.  Written by sysfs. */
unsigned long hspan_default_limit;

static int hspan_fs_init_context(struct fs_context *fc)
{
	if (!init_pseudo(fc, HSPAN_FS_MAGIC))
		return -ENOMEM;
	/* Newer kernels do this by themselves: nothing here is for execution. */
	fc->s_iflags |= SB_I_NOEXEC;
	fc->global = true;	/* whoever's arena comes first */
	return 0;
}

/*
 * The owner matters: the last fput() of an arena lets go of the module first
 * and of the mount afterwards, so it is the superblock, alive until then, that
 * has to keep this structure in memory.  A permanent mount would keep it for
 * ever; so the mount comes and goes with the arenas.
 */
static struct file_system_type hspan_fs_type = {
	.owner = THIS_MODULE,
	.name = "hugespan",
	.init_fs_context = hspan_fs_init_context,
	.kill_sb = kill_anon_super,
};

/* madvise() and memory failure would split a block: never. */
static bool hspan_release_folio(struct folio *folio, gfp_t gfp)
{
	return false;
}

static const struct address_space_operations hspan_aops = {
	.dirty_folio = noop_dirty_folio,
	.release_folio = hspan_release_folio,
};

/* Owner and mode are as the arena was created. */
static int hspan_setattr(struct hspan_idmap *idmap, struct dentry *dentry,
			 struct iattr *attr)
{
	return -EOPNOTSUPP;
}

static const struct inode_operations hspan_inode_ops = {
	.setattr = hspan_setattr,
};

/**
 * hspan_inode_create() - an inode for an arena or a snapshot
 * @size: bytes that can be mapped
 * @mode: permission bits
 *
 * Each has one of its own, so that unmapping reaches just its VMAs.
 *
 * Return: the inode, for hspan_inode_put(), or an ERR_PTR.
 */
struct inode *hspan_inode_create(u64 size, umode_t mode)
{
	struct inode *inode;
	int err;

	err = simple_pin_fs(&hspan_fs_type, &hspan_mnt, &hspan_mnt_count);
	if (err)
		return ERR_PTR(err);
	inode = alloc_anon_inode(hspan_mnt->mnt_sb);
	if (IS_ERR(inode)) {
		simple_release_fs(&hspan_mnt, &hspan_mnt_count);
		return inode;
	}
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	inode->i_mode = (inode->i_mode & S_IFMT) | mode;
	inode->i_op = &hspan_inode_ops;
	inode->i_mapping->a_ops = &hspan_aops;
	mapping_set_release_always(inode->i_mapping);
	i_size_write(inode, size);	/* less, and 6.12 would map 4 KiB pages */
	return inode;
}

void hspan_inode_put(struct inode *inode)
{
	iput(inode);
	simple_release_fs(&hspan_mnt, &hspan_mnt_count);
}

static int hspan_arena_init_heap(struct hspan_arena *arena, u64 limit)
{
	struct page *control;

	arena->heap = hspan_heap_create(&hspan_arena_heap_ops, arena,
					arena->nr_blocks);
	if (IS_ERR_OR_NULL(arena->heap))
		return arena->heap ? PTR_ERR(arena->heap) : -ENOMEM;
	control = hspan_side_get(arena, HSPAN_OFF_CONTROL >> PAGE_SHIFT);
	if (!control) {
		hspan_heap_destroy(arena->heap);
		return -ENOMEM;
	}
	put_page(control);	/* the arena keeps its own reference */
	hspan_heap_set_limit(arena->heap, limit ?: READ_ONCE(hspan_default_limit));
	hspan_heap_set_control(arena->heap, page_address(control));
	return 0;
}

static void hspan_arena_link(struct hspan_arena *arena)
{
	down_write(&hspan_arenas_lock);
	list_add_tail(&arena->node, &hspan_arenas);
	WRITE_ONCE(hspan_nr_arenas, hspan_nr_arenas + 1);
	hspan_heap_set_pressure(arena->heap, hspan_pressure_level());
	hspan_cache_apply(arena);
	up_write(&hspan_arenas_lock);
}

static void hspan_arena_unlink(struct hspan_arena *arena)
{
	down_write(&hspan_arenas_lock);
	list_del(&arena->node);
	WRITE_ONCE(hspan_nr_arenas, hspan_nr_arenas - 1);
	up_write(&hspan_arenas_lock);
}

/* What is allocated with an arena, or must be to be had at any time. */
static unsigned long hspan_arena_tables(const struct hspan_arena *arena)
{
	return sizeof(*arena) + sizeof(struct inode) +
	       arena->nr_blocks * sizeof(*arena->slots) +
	       hspan_heap_bytes(arena->nr_blocks) +
	       hspan_region_size(arena, HSPAN_REGION_CONTROL) +
	       hspan_region_size(arena, HSPAN_REGION_PAGE_MAP) +
	       hspan_region_size(arena, HSPAN_REGION_NOTES);
}

static int hspan_arena_charge(struct hspan_arena *arena)
{
	unsigned long tables = hspan_arena_tables(arena);
	int err;

	err = hspan_user_join(arena);
	if (err)
		return err;
	err = hspan_charge(arena, tables);
	if (err)
		hspan_user_leave(arena);
	else
		atomic_long_set(&arena->tables, tables);
	return err;
}

/* All that stayed until the end has gone. */
static void hspan_arena_uncharge(struct hspan_arena *arena)
{
	hspan_uncharge(arena, atomic_long_read(&arena->tables));
	hspan_user_leave(arena);
}

static int hspan_arena_publish(struct hspan_arena *arena)
{
	int err = 0;

	if (arena->name[0])
		err = hspan_name_add(arena);
	if (!err)
		hspan_arena_link(arena);
	return err;
}

/**
 * hspan_arena_create() - make an arena with no client yet
 * @pool: where its blocks come from
 * @args: checked by the caller
 *
 * Return: the arena with one reference, or an ERR_PTR.
 */
struct hspan_arena *hspan_arena_create(struct hspan_pool *pool,
				       const struct hspan_arena_create *args)
{
	struct hspan_arena *arena;
	int err;

	arena = kzalloc(sizeof(*arena), GFP_KERNEL_ACCOUNT);
	if (!arena)
		return ERR_PTR(-ENOMEM);
	kref_init(&arena->ref);
	arena->id = atomic64_inc_return(&hspan_arena_last_id);
	arena->size = args->size;
	arena->base = args->base;
	arena->nr_blocks = args->size >> HSPAN_BLOCK_SHIFT;
	arena->flags = args->flags;
	arena->snapshot_budget = ULONG_MAX;
	init_rwsem(&arena->gate);
	memcpy(arena->name, args->name, sizeof(arena->name));
	arena->pool = pool;
	xa_init_flags(&arena->side, XA_FLAGS_ACCOUNT);
	ida_init(&arena->client_ids);
	init_waitqueue_head(&arena->wait);

	err = hspan_arena_charge(arena);
	if (err)
		goto err_free;
	err = -ENOMEM;
	arena->slots = kvcalloc(arena->nr_blocks, sizeof(*arena->slots),
				GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!arena->slots)
		goto err_uncharge;
	arena->inode = hspan_inode_create(args->size,
					  args->name[0] ? args->mode : 0600);
	if (IS_ERR(arena->inode)) {
		err = PTR_ERR(arena->inode);
		goto err_free_slots;
	}
	err = hspan_arena_init_heap(arena, args->limit);
	if (err)
		goto err_put_inode;
	err = hspan_arena_sysfs_add(arena);
	if (err)
		goto err_destroy_heap;
	hspan_arena_debugfs_add(arena);
	err = hspan_arena_publish(arena);
	if (err)
		goto err_del_debugfs;
	trace_hugespan_arena_create(arena->id, arena->size,
				    hspan_heap_limit(arena->heap));
	return arena;

err_del_debugfs:
	hspan_arena_debugfs_del(arena);
	hspan_arena_sysfs_del(arena);
err_destroy_heap:
	hspan_heap_destroy(arena->heap);
err_put_inode:
	hspan_side_free(arena);
	hspan_inode_put(arena->inode);
err_free_slots:
	kvfree(arena->slots);
err_uncharge:
	hspan_arena_uncharge(arena);
err_free:
	kfree(arena);
	return ERR_PTR(err);
}

static void hspan_arena_free(struct kref *ref)
{
	struct hspan_arena *arena = container_of(ref, struct hspan_arena, ref);

	trace_hugespan_arena_destroy(arena->id, atomic64_read(&arena->faults));
	hspan_name_del(arena);
	hspan_arena_debugfs_del(arena);
	hspan_arena_sysfs_del(arena);
	hspan_arena_unlink(arena);
	arena->ending = true;
	hspan_heap_destroy(arena->heap);
	hspan_side_free(arena);
	ida_destroy(&arena->client_ids);
	hspan_inode_put(arena->inode);
	kvfree(arena->slots);
	hspan_arena_uncharge(arena);
	kfree(arena);
}

/* Free blocks of all arenas; 0 if that cannot be found out without waiting. */
unsigned long hspan_arenas_nr_free(void)
{
	struct hspan_arena *arena;
	unsigned long nr = 0;

	if (!down_read_trylock(&hspan_arenas_lock))
		return 0;
	list_for_each_entry(arena, &hspan_arenas, node)
		nr += hspan_heap_nr_free(arena->heap);
	up_read(&hspan_arenas_lock);
	return nr;
}

/**
 * hspan_arenas_try_release() - give arenas' free blocks to the system
 * @nr: at most this many
 *
 * For the shrinker: waits for no lock that may be held where memory is
 * allocated.  Any number of CPUs may be at it: one that found no block because
 * another is busy taking them would go on to the OOM killer.
 *
 * Return: how many went.
 */
unsigned long hspan_arenas_try_release(unsigned long nr)
{
	struct hspan_arena *arena;
	unsigned long done = 0;

	if (!down_read_trylock(&hspan_arenas_lock))
		return 0;
	list_for_each_entry(arena, &hspan_arenas, node) {
		if (done == nr)
			break;
		done += hspan_heap_try_release(arena->heap, nr - done);
	}
	up_read(&hspan_arenas_lock);
	return done;
}

/**
 * hspan_arenas_press() - tell all clients how short memory is
 * @level: the level from now on
 * @asked: memory was asked for since the last call: wake who polls, and give
 *	what CPU caches keep to whoever can use it
 */
void hspan_arenas_press(unsigned int level, bool asked)
{
	struct hspan_arena *arena;

	down_read(&hspan_arenas_lock);
	list_for_each_entry(arena, &hspan_arenas, node) {
		hspan_heap_set_pressure(arena->heap, level);
		if (!asked)
			continue;
		hspan_heap_flush(arena->heap);
		atomic_inc(&arena->nr_pressed);
		wake_up_poll(&arena->wait, EPOLLPRI);
	}
	up_read(&hspan_arenas_lock);
}

/* Call @fn for each arena; none comes or goes meanwhile. */
void hspan_arenas_each(void (*fn)(struct hspan_arena *arena, void *arg),
		       void *arg)
{
	struct hspan_arena *arena;

	down_read(&hspan_arenas_lock);
	list_for_each_entry(arena, &hspan_arenas, node)
		fn(arena, arg);
	up_read(&hspan_arenas_lock);
}

void hspan_arena_put(struct hspan_arena *arena)
{
	kref_put(&arena->ref, hspan_arena_free);
}

/* A client and its file. */
#define HSPAN_CLIENT_CHARGE \
	(sizeof(struct hspan_client) + sizeof(struct file) + \
	 sizeof(struct dentry))

/* A new client, who refers to @arena. */
static struct hspan_client *hspan_client_create(struct hspan_arena *arena)
{
	struct hspan_client *client;
	int id, err;

	err = hspan_charge(arena, HSPAN_CLIENT_CHARGE);
	if (err)
		return ERR_PTR(err);
	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client) {
		err = -ENOMEM;
		goto err_uncharge;
	}
	id = ida_alloc_min(&arena->client_ids, 1, GFP_KERNEL_ACCOUNT);
	if (id < 0) {
		err = id;
		goto err_free;
	}
	kref_get(&arena->ref);
	client->arena = arena;
	client->id = id;
	atomic_set(&client->nr_pressed, atomic_read(&arena->nr_pressed));
	atomic_inc(&arena->nr_clients);
	trace_hugespan_client_open(arena->id, client->id);
	return client;

err_free:
	kfree(client);
err_uncharge:
	hspan_uncharge(arena, HSPAN_CLIENT_CHARGE);
	return ERR_PTR(err);
}

/*
 * The client's spans become full and unswept before its number is free.  With
 * the last client of an arena without a name they end: nobody can come after.
 */
static u64 hspan_client_drop(struct hspan_client *client)
{
	struct hspan_arena *arena = client->arena;

	if (kref_read(&arena->ref) == 1 && !arena->name_ns)
		return 0;
	return hspan_heap_drop_holder(arena->heap, client->id);
}

static void hspan_client_destroy(struct hspan_client *client)
{
	struct hspan_arena *arena = client->arena;
	u64 spans = hspan_client_drop(client);

	trace_hugespan_client_drop(arena->id, client->id, spans);
	ida_free(&arena->client_ids, client->id);
	atomic_dec(&arena->nr_clients);
	kfree(client);
	hspan_uncharge(arena, HSPAN_CLIENT_CHARGE);
	hspan_arena_put(arena);
}

/**
 * hspan_file_open() - a file of an inode of ours
 * @inode: the caller keeps his reference
 * @flags: as for open()
 * @fops: what it can do
 *
 * alloc_file_pseudo() takes over a reference to the inode, and the last fput()
 * drops one to the module that nobody has taken.
 */
struct file *hspan_file_open(struct inode *inode, unsigned int flags,
			     const struct file_operations *fops)
{
	struct file *file;

	__module_get(THIS_MODULE);	/* our caller came through a file */
	ihold(inode);
	file = alloc_file_pseudo(inode, hspan_mnt, "hugespan", flags, fops);
	if (IS_ERR(file)) {
		iput(inode);
		module_put(THIS_MODULE);
	}
	return file;
}

/**
 * hspan_client_open() - a file that is a new client of an arena
 * @arena: the caller holds a reference, and keeps it
 * @flags: O_CLOEXEC or 0
 */
struct file *hspan_client_open(struct hspan_arena *arena, unsigned int flags)
{
	struct hspan_client *client;
	struct file *file;

	client = hspan_client_create(arena);
	if (IS_ERR(client))
		return ERR_CAST(client);
	file = hspan_file_open(arena->inode, O_RDWR | flags, &hspan_arena_fops);
	if (IS_ERR(file))
		hspan_client_destroy(client);
	else
		file->private_data = client;
	return file;
}

/* The same as a descriptor of the calling process, or a negative errno. */
int hspan_client_fd(struct hspan_arena *arena, unsigned int fd_flags)
{
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(fd_flags);
	if (fd < 0)
		return fd;
	file = hspan_client_open(arena, fd_flags);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

void hspan_arena_stats(struct hspan_arena *arena, struct hspan_arena_stats *st)
{
	hspan_heap_stats(arena->heap, st);
	st->faults = atomic64_read(&arena->faults);
	st->clients = atomic_read(&arena->nr_clients);
}

unsigned long hspan_arenas_count(void)
{
	return READ_ONCE(hspan_nr_arenas);
}

static int hspan_arena_release(struct inode *inode, struct file *file)
{
	hspan_client_destroy(file->private_data);
	return 0;
}

/* EPOLLPRI once for each period in which the machine needed memory. */
static __poll_t hspan_arena_poll(struct file *file, poll_table *wait)
{
	struct hspan_client *client = file->private_data;
	int now;

	poll_wait(file, &client->arena->wait, wait);
	now = atomic_read(&client->arena->nr_pressed);
	return atomic_xchg(&client->nr_pressed, now) != now ? EPOLLPRI : 0;
}

const struct file_operations hspan_arena_fops = {
	.owner = THIS_MODULE,
	.release = hspan_arena_release,
	.unlocked_ioctl = hspan_arena_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = hspan_mmap,
	.poll = hspan_arena_poll,
	.get_unmapped_area = thp_get_unmapped_area,
	.show_fdinfo = hspan_show_fdinfo,
	.llseek = noop_llseek,
};

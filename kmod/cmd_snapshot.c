// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots as files: how they are taken, mapped, asked about, and closed.
 */
#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

#include "hugespan.h"

static int hspan_snapshot_release(struct inode *inode, struct file *file)
{
	hspan_snapshot_destroy(file->private_data);
	return 0;
}

/* EPOLLERR as soon as it is broken. */
static __poll_t hspan_snapshot_poll(struct file *file, poll_table *wait)
{
	struct hspan_snapshot *snap = file->private_data;

	poll_wait(file, &snap->wait, wait);
	return READ_ONCE(snap->error) ? EPOLLERR : 0;
}

static const struct file_operations hspan_snapshot_fops = {
	.owner = THIS_MODULE,
	.release = hspan_snapshot_release,
	.unlocked_ioctl = hspan_snapshot_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = hspan_snapshot_mmap,
	.poll = hspan_snapshot_poll,
	.get_unmapped_area = thp_get_unmapped_area,
	.show_fdinfo = hspan_snapshot_show_fdinfo,
	.llseek = noop_llseek,
};

/* A file with a snapshot that has not been taken yet, or an ERR_PTR. */
static struct file *hspan_snapshot_open(struct hspan_arena *arena, u64 budget,
					unsigned int flags)
{
	struct hspan_snapshot *snap = hspan_snapshot_create(arena, budget);
	struct file *file;

	if (IS_ERR(snap))
		return ERR_CAST(snap);
	file = hspan_file_open(snap->inode, O_RDONLY | flags,
			       &hspan_snapshot_fops);
	if (IS_ERR(file))
		hspan_snapshot_destroy(snap);
	else
		file->private_data = snap;
	return file;
}

long hspan_cmd_snapshot(struct hspan_call *call)
{
	const struct hspan_snapshot_take *args = &call->arg.snapshot_take;
	struct hspan_arena *arena = call->client->arena;
	struct file *file;
	int fd, err;

	if (args->flags || (args->fd_flags & ~O_CLOEXEC))
		return -EINVAL;
	if (!hspan_is_gated(arena))
		return -EOPNOTSUPP;
	fd = get_unused_fd_flags(args->fd_flags);
	if (fd < 0)
		return fd;
	file = hspan_snapshot_open(arena, args->budget, args->fd_flags);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	err = hspan_snapshot_take(file->private_data);
	if (err) {
		put_unused_fd(fd);
		fput(file);
		return err;
	}
	fd_install(fd, file);
	return fd;
}

/* Whole words, as many as there are or there is room for, then zeros. */
static int hspan_snapshot_tell_map(struct hspan_snapshot *snap,
				   void __user *to, size_t room)
{
	size_t size = min(room, BITS_TO_LONGS(snap->nr_blocks) * sizeof(long));

	if (copy_to_user(to, snap->members, size) ||
	    clear_user(to + size, room - size))
		return -EFAULT;
	return 0;
}

static void hspan_snapshot_tell(struct hspan_snapshot *snap,
				struct hspan_snapshot_info *info)
{
	info->arena = snap->arena->id;
	info->size = snap->arena->size;
	info->budget = snap->budget;
	info->blocks = bitmap_weight(snap->members, snap->nr_blocks);
	info->copied = atomic_long_read(&snap->nr_copied);
	info->kept = atomic_long_read(&snap->nr_kept);
	info->lost = atomic_long_read(&snap->nr_lost);
	info->faults = atomic64_read(&snap->faults);
	info->gate_ns = snap->gate_ns;
	info->error = -READ_ONCE(snap->error);
}

long hspan_cmd_snapshot_info(struct hspan_call *call)
{
	struct hspan_snapshot_info *info = &call->arg.snapshot_info;

	if (info->map_size % sizeof(u64) || (info->map_size && !info->map) ||
	    info->map_size > HSPAN_SNAPSHOT_MAP_MAX)
		return -EINVAL;
	hspan_snapshot_tell(call->snap, info);
	if (!info->map)
		return 0;
	return hspan_snapshot_tell_map(call->snap, u64_to_user_ptr(info->map),
				       info->map_size);
}

void hspan_snapshot_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct hspan_snapshot_info info;

	hspan_snapshot_tell(file->private_data, &info);
	seq_printf(m, "hugespan-snapshot-of:\t%llu\n", info.arena);
	seq_printf(m, "hugespan-size:\t%llu\n", info.size);
	seq_printf(m, "hugespan-budget:\t%llu\n", info.budget);
	seq_printf(m, "hugespan-blocks:\t%llu\n", info.blocks);
	seq_printf(m, "hugespan-blocks-copied:\t%llu\n", info.copied);
	seq_printf(m, "hugespan-blocks-kept:\t%llu\n", info.kept);
	seq_printf(m, "hugespan-blocks-lost:\t%llu\n", info.lost);
	seq_printf(m, "hugespan-faults:\t%llu\n", info.faults);
	seq_printf(m, "hugespan-gate-ns:\t%llu\n", info.gate_ns);
	seq_printf(m, "hugespan-error:\t%u\n", info.error);
}

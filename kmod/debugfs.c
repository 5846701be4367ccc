// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every span of an arena as text, in /sys/kernel/debug/hugespan/arenas/ID/spans.
 *
 * debugfs waits for readers before it removes a file, and lets nobody in after:
 * an arena that removes its file first outlives all that look at it.  Nothing
 * depends on these files, so that they cannot be made is no error.
 */
#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>

#include "hugespan.h"

static struct dentry *hspan_debugfs_root;
static struct dentry *hspan_debugfs_arenas;

/**
 * struct hspan_spans - a file of spans being read
 * @heap: whose they are; valid inside of a read
 * @info: the span to be shown
 *
 * The position is 0 for the heading, and otherwise one more than the page from
 * which on to look for the next span; so a reader can go on where it stopped,
 * whatever spans have come and gone.
 */
struct hspan_spans {
	struct hspan_heap *heap;
	struct hspan_span_info info;
};

static void *hspan_spans_find(struct hspan_spans *spans, loff_t pos)
{
	if (pos > U32_MAX ||
	    !hspan_heap_find(spans->heap, pos - 1, &spans->info))
		return NULL;
	return &spans->info;
}

static void *hspan_spans_start(struct seq_file *m, loff_t *pos)
{
	return *pos ? hspan_spans_find(m->private, *pos) : SEQ_START_TOKEN;
}

static void *hspan_spans_next(struct seq_file *m, void *v, loff_t *pos)
{
	const struct hspan_span_info *info = v;

	*pos = v == SEQ_START_TOKEN ? 1 : info->page + 2LL;
	return hspan_spans_find(m->private, *pos);
}

static void hspan_spans_stop(struct seq_file *m, void *v)
{
}

static int hspan_spans_show(struct seq_file *m, void *v)
{
	static const char * const states[] = {
		[HSPAN_STATE_HELD] = "held",
		[HSPAN_STATE_CACHED] = "cached",
		[HSPAN_STATE_LISTED] = "listed",
	};
	const struct hspan_span_info *info = v;
	u32 size_class;

	if (v == SEQ_START_TOKEN) {
		seq_puts(m, "page npages size scan state holder nfree sweepgen\n");
		return 0;
	}
	size_class = info->span_class / 2;
	seq_printf(m, "%u %u %lu %s %s %u %u %u\n", info->page, info->npages,
		   size_class ? (unsigned long)hspan_class_size[size_class] :
				info->npages * HSPAN_PAGE_SIZE,
		   info->span_class & 1 ? "noscan" : "scan",
		   states[info->state], info->holder, info->nfree,
		   info->sweepgen);
	return 0;
}

static const struct seq_operations hspan_spans_sops = {
	.start = hspan_spans_start,
	.next = hspan_spans_next,
	.stop = hspan_spans_stop,
	.show = hspan_spans_show,
};

static int hspan_spans_open(struct inode *inode, struct file *file)
{
	struct hspan_arena *arena = inode->i_private;
	struct hspan_spans *spans;

	spans = __seq_open_private(file, &hspan_spans_sops, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	spans->heap = arena->heap;
	return 0;
}

static const struct file_operations hspan_spans_fops = {
	.owner = THIS_MODULE,
	.open = hspan_spans_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/* Arenas of KUnit tests, which run before init, get nothing. */
void hspan_arena_debugfs_add(struct hspan_arena *arena)
{
	char name[24];

	if (!hspan_debugfs_arenas)
		return;
	snprintf(name, sizeof(name), "%llu", arena->id);
	arena->debugfs = debugfs_create_dir(name, hspan_debugfs_arenas);
	debugfs_create_file("spans", 0400, arena->debugfs, arena,
			    &hspan_spans_fops);
}

/* Waits for those who are reading. */
void hspan_arena_debugfs_del(struct hspan_arena *arena)
{
	debugfs_remove(arena->debugfs);
}

void hspan_debugfs_init(void)
{
	hspan_debugfs_root = debugfs_create_dir("hugespan", NULL);
	hspan_debugfs_arenas = debugfs_create_dir("arenas", hspan_debugfs_root);
}

void hspan_debugfs_exit(void)
{
	debugfs_remove(hspan_debugfs_root);
}

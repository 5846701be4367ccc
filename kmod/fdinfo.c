// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/PID/fdinfo of an arena's file.
 */
#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "hugespan.h"

void hspan_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct hspan_client *client = file->private_data;
	struct hspan_arena *arena = client->arena;
	struct hspan_arena_stats st = {};

	hspan_arena_stats(arena, &st);
	seq_printf(m, "hugespan-arena:\t%llu\n", arena->id);
	if (arena->name[0])
		seq_printf(m, "hugespan-name:\t%s\n", arena->name);
	seq_printf(m, "hugespan-client:\t%u\n", client->id);
	seq_printf(m, "hugespan-clients:\t%llu\n", st.clients);
	seq_printf(m, "hugespan-size:\t%llu\n", arena->size);
	seq_printf(m, "hugespan-base:\t%#llx\n", arena->base);
	seq_printf(m, "hugespan-limit:\t%llu\n", hspan_heap_limit(arena->heap));
	seq_printf(m, "hugespan-blocks-held:\t%llu\n", st.blocks_held);
	seq_printf(m, "hugespan-blocks-free:\t%llu\n", st.blocks_free);
	seq_printf(m, "hugespan-charged:\t%ld\n",
		   atomic_long_read(&arena->charged));
	seq_printf(m, "hugespan-user:\t%u\n",
		   from_kuid_munged(seq_user_ns(m), arena->user->uid));
	seq_printf(m, "hugespan-user-charged:\t%ld\n",
		   atomic_long_read(&arena->user->charged));
	seq_printf(m, "hugespan-spans:\t%llu\n", st.spans);
	seq_printf(m, "hugespan-spans-held:\t%llu\n", st.spans_held);
	seq_printf(m, "hugespan-sweepgen:\t%u\n", st.sweepgen);
	seq_printf(m, "hugespan-unswept:\t%u\n", st.nr_unswept);
}

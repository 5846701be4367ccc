// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module itself: parameters, the misc device, coming and going.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "hugespan.h"

static unsigned long pool_high;
module_param(pool_high, ulong, 0444);
MODULE_PARM_DESC(pool_high,
		 "2 MiB blocks that may wait on a node for the next arena (default: 1/64 of memory, at most 64)");

static unsigned long pool_low;
module_param(pool_low, ulong, 0444);
MODULE_PARM_DESC(pool_low,
		 "blocks to get ready on a node before they are asked for (default: 0)");

static unsigned long reserve;
module_param(reserve, ulong, 0444);
MODULE_PARM_DESC(reserve,
		 "blocks taken at once and kept, charged to nobody (default: 0)");

static unsigned long default_limit;
module_param(default_limit, ulong, 0444);
MODULE_PARM_DESC(default_limit,
		 "blocks an arena may hold if it asks for no limit (default: half of memory)");

static unsigned long user_limit;
module_param(user_limit, ulong, 0444);
MODULE_PARM_DESC(user_limit,
		 "blocks' worth of memory that all arenas of a user may take (default: half of memory)");

static const struct file_operations hspan_device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = hspan_device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

struct miscdevice hspan_miscdev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = HSPAN_DEVICE_NAME,
	.fops = &hspan_device_fops,
	.groups = hspan_sysfs_groups,
	.mode = 0660,
};

/* What the parameters say, or what suits this machine. */
static void __init hspan_set_defaults(void)
{
	unsigned long blocks = totalram_pages() >> HSPAN_BLOCK_ORDER;

	if (!pool_high)
		pool_high = clamp(blocks / 64, 1UL, 64UL);
	if (!default_limit)
		default_limit = max(blocks / 2, 1UL);
	hspan_default_limit = default_limit;
	hspan_user_limit = user_limit ?: max(blocks / 2, 1UL);
}

static void __init hspan_take_reserve(void)
{
	unsigned long got = hspan_pool_reserve(&hspan_pool, reserve);

	if (got < reserve)
		pr_warn("reserved %lu blocks of %lu: memory is short, or in pieces\n",
			got, reserve);
}

static int __init hspan_init(void)
{
	int err;

	BUILD_BUG_ON(HSPAN_BLOCK_ORDER != PMD_SHIFT - PAGE_SHIFT);
	BUILD_BUG_ON(HSPAN_BITS_BLOCK % PAGE_SIZE);
	BUILD_BUG_ON(PAGE_SIZE % HSPAN_PAGE_MAP_BLOCK);
	BUILD_BUG_ON(sizeof(struct hspan_control) > PAGE_SIZE);

	hspan_debugfs_init();
	hspan_set_defaults();
	err = hspan_pool_init(&hspan_pool, pool_high);
	if (err)
		goto out_exit_debugfs;
	hspan_pool.low = pool_low;
	hspan_take_reserve();
	err = hspan_poolthread_start(&hspan_pool);
	if (err)
		goto out_exit_pool;
	err = hspan_pressure_start();
	if (err)
		goto out_stop_thread;
	err = hspan_cache_start();
	if (err)
		goto out_stop_pressure;
	err = misc_register(&hspan_miscdev);
	if (err)
		goto out_stop_cache;
	/* If this fails the first arena tries it again. */
	hspan_sysfs_arenas_dir();
	return 0;

out_stop_cache:
	hspan_cache_stop();
out_stop_pressure:
	hspan_pressure_stop();
out_stop_thread:
	hspan_poolthread_stop(&hspan_pool);
out_exit_pool:
	hspan_strays_exit();	/* of KUnit tests */
	hspan_pool_exit(&hspan_pool);
out_exit_debugfs:
	hspan_debugfs_exit();
	return err;
}

static void __exit hspan_exit(void)
{
	hspan_sysfs_exit();
	misc_deregister(&hspan_miscdev);
	hspan_cache_stop();
	hspan_pressure_stop();
	hspan_poolthread_stop(&hspan_pool);
	hspan_strays_exit();
	hspan_pool_exit(&hspan_pool);
	hspan_debugfs_exit();
}

module_init(hspan_init);
module_exit(hspan_exit);

MODULE_DESCRIPTION("Arenas of 2 MiB pages with span lists for garbage-collected heaps");
MODULE_AUTHOR("The hugespan authors");
MODULE_VERSION(HUGESPAN_VERSION);
MODULE_LICENSE("GPL");

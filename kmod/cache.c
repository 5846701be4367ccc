// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CPU caches of all arenas: how deep they may be, and what becomes of one
 * whose CPU goes away.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/mutex.h>
#include <linux/sysfs.h>

#include "hugespan.h"

/* Held while the next two change, until every arena has been told. */
static DEFINE_MUTEX(hspan_cache_lock);
static u32 hspan_cache_depth = HSPAN_CACHE_DEPTH_DEFAULT;
static u32 hspan_cache_max_depth = HSPAN_CACHE_DEPTH_MAX;

static enum cpuhp_state hspan_cache_hotplug;

/* The CPU is dead and nobody runs on it: no put can add to its caches. */
static void hspan_cache_flush_dead(struct hspan_arena *arena, void *arg)
{
	const unsigned int *cpu = arg;

	hspan_heap_flush_cpu(arena->heap, *cpu);
}

static int hspan_cache_cpu_dead(unsigned int cpu)
{
	hspan_arenas_each(hspan_cache_flush_dead, &cpu);
	return 0;
}

/* A new arena's, with hspan_arenas_lock held: it is either told, or sees. */
void hspan_cache_apply(struct hspan_arena *arena)
{
	hspan_heap_set_cache_depth(arena->heap, READ_ONCE(hspan_cache_depth),
				   READ_ONCE(hspan_cache_max_depth));
}

static void hspan_cache_apply_each(struct hspan_arena *arena, void *arg)
{
	hspan_cache_apply(arena);
}

static ssize_t hspan_cache_set(u32 *depth, const char *buf, size_t count)
{
	u32 value;
	int err;

	err = kstrtou32(buf, 0, &value);
	if (err)
		return err;
	if (value > HSPAN_CACHE_DEPTH_MAX)
		return -EINVAL;
	mutex_lock(&hspan_cache_lock);
	WRITE_ONCE(*depth, value);
	hspan_arenas_each(hspan_cache_apply_each, NULL);
	mutex_unlock(&hspan_cache_lock);
	return count;
}

static ssize_t depth_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(hspan_cache_depth));
}

static ssize_t depth_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	return hspan_cache_set(&hspan_cache_depth, buf, count);
}
static DEVICE_ATTR_RW(depth);

static ssize_t max_depth_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(hspan_cache_max_depth));
}

static ssize_t max_depth_store(struct device *dev,
			       struct device_attribute *attr, const char *buf,
			       size_t count)
{
	return hspan_cache_set(&hspan_cache_max_depth, buf, count);
}
static DEVICE_ATTR_RW(max_depth);

static struct attribute *hspan_cache_attrs[] = {
	&dev_attr_depth.attr,
	&dev_attr_max_depth.attr,
	NULL,
};

const struct attribute_group hspan_cache_group = {
	.name = "cache",
	.attrs = hspan_cache_attrs,
};

int hspan_cache_start(void)
{
	int state;

	state = cpuhp_setup_state_nocalls(CPUHP_BP_PREPARE_DYN,
					  "hugespan:cache", NULL,
					  hspan_cache_cpu_dead);
	if (state < 0)
		return state;
	hspan_cache_hotplug = state;
	return 0;
}

void hspan_cache_stop(void)
{
	cpuhp_remove_state_nocalls(hspan_cache_hotplug);
}

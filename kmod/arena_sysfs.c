// SPDX-License-Identifier: GPL-2.0-only
/*
 * A directory for each arena, /sys/devices/virtual/misc/hugespan/arenas/ID/.
 */
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/sysfs.h>

#include "hugespan.h"
#include "trace.h"

/* The directory "arenas"; made once, under the mutex. */
static struct kobject *hspan_arenas_kobj;
static DEFINE_MUTEX(hspan_arenas_kobj_mutex);

static struct hspan_arena *hspan_kobj_arena(struct kobject *kobj)
{
	return container_of(kobj, struct hspan_arena, kobj);
}

static ssize_t size_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%llu\n", hspan_kobj_arena(kobj)->size);
}
static struct kobj_attribute size_attr = __ATTR_RO(size);

static ssize_t base_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%#llx\n", hspan_kobj_arena(kobj)->base);
}
/* Where the owner's heap is mapped helps an attacker: not for everybody. */
static struct kobj_attribute base_attr = __ATTR_RO_MODE(base, 0400);

static ssize_t limit_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  hspan_heap_limit(hspan_kobj_arena(kobj)->heap));
}

static ssize_t limit_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t count)
{
	struct hspan_arena *arena = hspan_kobj_arena(kobj);
	u64 limit;
	int err;

	err = kstrtou64(buf, 0, &limit);
	if (err)
		return err;
	if (!limit)
		return -EINVAL;
	hspan_heap_set_limit(arena->heap, limit);
	trace_hugespan_limit(arena->id, limit);
	return count;
}
static struct kobj_attribute limit_attr = __ATTR_RW(limit);

static ssize_t pressed_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", (unsigned int)
			  atomic_read(&hspan_kobj_arena(kobj)->nr_pressed));
}
static struct kobj_attribute pressed_attr = __ATTR_RO(pressed);

static ssize_t snapshot_budget_show(struct kobject *kobj,
				    struct kobj_attribute *attr, char *buf)
{
	unsigned long blocks = READ_ONCE(hspan_kobj_arena(kobj)->snapshot_budget);

	if (blocks == ULONG_MAX)
		return sysfs_emit(buf, "max\n");
	return sysfs_emit(buf, "%lu\n", blocks);
}

static ssize_t snapshot_budget_store(struct kobject *kobj,
				     struct kobj_attribute *attr,
				     const char *buf, size_t count)
{
	unsigned long blocks = ULONG_MAX;
	int err;

	if (!sysfs_streq(buf, "max")) {
		err = kstrtoul(buf, 0, &blocks);
		if (err)
			return err;
	}
	WRITE_ONCE(hspan_kobj_arena(kobj)->snapshot_budget, blocks);
	return count;
}
static struct kobj_attribute snapshot_budget_attr = __ATTR_RW(snapshot_budget);

/* A counter of the arena's snapshots as a read-only attribute. */
#define HSPAN_SNAPSHOT_ATTR(_name, _field)				\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%ld\n",					\
		atomic_long_read(&hspan_kobj_arena(kobj)->_field));	\
}									\
static struct kobj_attribute _name##_attr = __ATTR_RO(_name)

HSPAN_SNAPSHOT_ATTR(snapshots, nr_snapshots);
HSPAN_SNAPSHOT_ATTR(snapshots_broken, nr_broken);
HSPAN_SNAPSHOT_ATTR(snapshot_copies, nr_copied);

static ssize_t snapshot_gate_ns_show(struct kobject *kobj,
				     struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  READ_ONCE(hspan_kobj_arena(kobj)->gate_ns));
}
static struct kobj_attribute snapshot_gate_ns_attr = __ATTR_RO(snapshot_gate_ns);

/* A field of the arena's statistics as a read-only attribute. */
#define HSPAN_STAT_ATTR(_name)						\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	struct hspan_arena_stats st = {};				\
									\
	hspan_arena_stats(hspan_kobj_arena(kobj), &st);			\
	return sysfs_emit(buf, "%llu\n", (u64)st._name);		\
}									\
static struct kobj_attribute _name##_attr = __ATTR_RO(_name)

HSPAN_STAT_ATTR(sweepgen);
HSPAN_STAT_ATTR(nr_unswept);
HSPAN_STAT_ATTR(blocks_held);
HSPAN_STAT_ATTR(blocks_free);
HSPAN_STAT_ATTR(blocks_grown);
HSPAN_STAT_ATTR(blocks_released);
HSPAN_STAT_ATTR(pages_used);
HSPAN_STAT_ATTR(spans);
HSPAN_STAT_ATTR(spans_held);
HSPAN_STAT_ATTR(spans_cached);
HSPAN_STAT_ATTR(gets);
HSPAN_STAT_ATTR(puts);
HSPAN_STAT_ATTR(cache_hits);
HSPAN_STAT_ATTR(central_hits);
HSPAN_STAT_ATTR(page_heap_hits);
HSPAN_STAT_ATTR(faults);
HSPAN_STAT_ATTR(clients);

static struct attribute *hspan_arena_attrs[] = {
	&size_attr.attr,
	&base_attr.attr,
	&limit_attr.attr,
	&pressed_attr.attr,
	&snapshot_budget_attr.attr,
	&snapshots_attr.attr,
	&snapshots_broken_attr.attr,
	&snapshot_copies_attr.attr,
	&snapshot_gate_ns_attr.attr,
	&sweepgen_attr.attr,
	&nr_unswept_attr.attr,
	&blocks_held_attr.attr,
	&blocks_free_attr.attr,
	&blocks_grown_attr.attr,
	&blocks_released_attr.attr,
	&pages_used_attr.attr,
	&spans_attr.attr,
	&spans_held_attr.attr,
	&spans_cached_attr.attr,
	&gets_attr.attr,
	&puts_attr.attr,
	&cache_hits_attr.attr,
	&central_hits_attr.attr,
	&page_heap_hits_attr.attr,
	&faults_attr.attr,
	&clients_attr.attr,
	NULL,
};
ATTRIBUTE_GROUPS(hspan_arena);

static void hspan_arena_kobj_release(struct kobject *kobj)
{
	complete(&hspan_kobj_arena(kobj)->kobj_released);
}

static const struct kobj_type hspan_arena_ktype = {
	.release = hspan_arena_kobj_release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = hspan_arena_groups,
};

/**
 * hspan_sysfs_arenas_dir() - the directory that arenas have theirs in
 *
 * It cannot be made before the device is registered, and from then on arenas
 * can be created: whoever comes first makes it.
 *
 * Return: the directory, or an ERR_PTR; -ENODEV before there is a device.
 */
struct kobject *hspan_sysfs_arenas_dir(void)
{
	struct device *device = hspan_miscdev.this_device;
	struct kobject *dir;

	if (!device)
		return ERR_PTR(-ENODEV);
	mutex_lock(&hspan_arenas_kobj_mutex);
	if (!hspan_arenas_kobj)
		hspan_arenas_kobj = kobject_create_and_add("arenas",
							   &device->kobj);
	dir = hspan_arenas_kobj;
	mutex_unlock(&hspan_arenas_kobj_mutex);
	return dir ?: ERR_PTR(-ENOMEM);
}

/* No arena is left, and none can be made any more. */
void hspan_sysfs_exit(void)
{
	kobject_put(hspan_arenas_kobj);
	hspan_arenas_kobj = NULL;
}

/**
 * hspan_arena_sysfs_add() - give an arena its directory
 * @arena: can be looked at from now on
 *
 * Arenas of KUnit tests, which run before there is a device, get none.
 *
 * Return: 0 or a negative errno.
 */
int hspan_arena_sysfs_add(struct hspan_arena *arena)
{
	struct kobject *dir = hspan_sysfs_arenas_dir();
	int err;

	if (IS_ERR(dir))
		return PTR_ERR(dir) == -ENODEV ? 0 : PTR_ERR(dir);
	init_completion(&arena->kobj_released);
	err = kobject_init_and_add(&arena->kobj, &hspan_arena_ktype, dir,
				   "%llu", arena->id);
	if (err) {
		kobject_put(&arena->kobj);
		wait_for_completion(&arena->kobj_released);
	}
	return err;
}

/*
 * Waits for those who are reading: nobody looks at the arena from here on,
 * whatever files they have open.
 */
void hspan_arena_sysfs_del(struct hspan_arena *arena)
{
	if (!arena->kobj.state_initialized)
		return;
	kobject_del(&arena->kobj);
	kobject_put(&arena->kobj);
	wait_for_completion(&arena->kobj_released);
}

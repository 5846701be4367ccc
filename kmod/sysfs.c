// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of the device, under /sys/devices/virtual/misc/hugespan/.
 */
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/sysfs.h>

#include "hugespan.h"

static ssize_t nr_arenas_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", hspan_arenas_count());
}
static DEVICE_ATTR_RO(nr_arenas);

static ssize_t blocks_in_use_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&hspan_pool.in_use));
}
static DEVICE_ATTR_RO(blocks_in_use);

static ssize_t default_limit_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(hspan_default_limit));
}

static ssize_t default_limit_store(struct device *dev,
				   struct device_attribute *attr,
				   const char *buf, size_t count)
{
	unsigned long limit;
	int err;

	err = kstrtoul(buf, 0, &limit);
	if (err)
		return err;
	if (!limit)
		return -EINVAL;
	WRITE_ONCE(hspan_default_limit, limit);
	return count;
}
static DEVICE_ATTR_RW(default_limit);

static ssize_t user_limit_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	unsigned long limit = READ_ONCE(hspan_user_limit);

	if (limit == ULONG_MAX)
		return sysfs_emit(buf, "max\n");
	return sysfs_emit(buf, "%lu\n", limit);
}

static ssize_t user_limit_store(struct device *dev,
				struct device_attribute *attr,
				const char *buf, size_t count)
{
	unsigned long limit = ULONG_MAX;
	int err;

	if (!sysfs_streq(buf, "max")) {
		err = kstrtoul(buf, 0, &limit);
		if (err)
			return err;
		if (!limit)
			return -EINVAL;
	}
	WRITE_ONCE(hspan_user_limit, limit);
	return count;
}
static DEVICE_ATTR_RW(user_limit);

static ssize_t users_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	unsigned long nr;

	hspan_users_sum(&nr);
	return sysfs_emit(buf, "%lu\n", nr);
}
static DEVICE_ATTR_RO(users);

static ssize_t charged_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	unsigned long nr;

	return sysfs_emit(buf, "%lu\n", hspan_users_sum(&nr));
}
static DEVICE_ATTR_RO(charged);

static ssize_t pressure_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%u\n", hspan_pressure_level());
}
static DEVICE_ATTR_RO(pressure);

static ssize_t blocks_reclaimed_show(struct device *dev,
				     struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&hspan_nr_reclaimed));
}
static DEVICE_ATTR_RO(blocks_reclaimed);

static struct attribute *hspan_attrs[] = {
	&dev_attr_nr_arenas.attr,
	&dev_attr_blocks_in_use.attr,
	&dev_attr_default_limit.attr,
	&dev_attr_user_limit.attr,
	&dev_attr_users.attr,
	&dev_attr_charged.attr,
	&dev_attr_pressure.attr,
	&dev_attr_blocks_reclaimed.attr,
	NULL,
};

static const struct attribute_group hspan_group = {
	.attrs = hspan_attrs,
};

static ssize_t high_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(hspan_pool.high));
}

static ssize_t high_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t count)
{
	unsigned long high;
	int err;

	err = kstrtoul(buf, 0, &high);
	if (err)
		return err;
	hspan_pool_set_high(&hspan_pool, high);
	return count;
}
static DEVICE_ATTR_RW(high);

static ssize_t low_show(struct device *dev, struct device_attribute *attr,
			char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(hspan_pool.low));
}

static ssize_t low_store(struct device *dev, struct device_attribute *attr,
			 const char *buf, size_t count)
{
	unsigned long low;
	int err;

	err = kstrtoul(buf, 0, &low);
	if (err)
		return err;
	hspan_poolthread_set_low(&hspan_pool, low);
	return count;
}
static DEVICE_ATTR_RW(low);

static ssize_t free_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  hspan_pool_nr_free(&hspan_pool, HSPAN_STOCK_FREE));
}
static DEVICE_ATTR_RO(free);

static ssize_t reserved_free_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  hspan_pool_nr_free(&hspan_pool, HSPAN_STOCK_RESERVE));
}
static DEVICE_ATTR_RO(reserved_free);

static ssize_t zeroed_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%lu\n", hspan_pool_nr_clean(&hspan_pool));
}
static DEVICE_ATTR_RO(zeroed);

/* A counter of the pool as a read-only attribute. */
#define HSPAN_POOL_ATTR(_name, _field)					\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%ld\n",					\
			  atomic_long_read(&hspan_pool._field));	\
}									\
static DEVICE_ATTR_RO(_name)

HSPAN_POOL_ATTR(reserved, nr_reserved);
HSPAN_POOL_ATTR(allocated, nr_allocated);
HSPAN_POOL_ATTR(returned, nr_freed);
HSPAN_POOL_ATTR(recycled, nr_recycled);
HSPAN_POOL_ATTR(cleared, nr_zeroed);
HSPAN_POOL_ATTR(prepared, nr_prepared);
HSPAN_POOL_ATTR(prefilled, nr_prefilled);
HSPAN_POOL_ATTR(lost, nr_lost);
HSPAN_POOL_ATTR(failed, nr_failed);
HSPAN_POOL_ATTR(poisoned, nr_poisoned);

static ssize_t strays_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%lu\n", hspan_strays_count());
}
static DEVICE_ATTR_RO(strays);

static struct attribute *hspan_pool_attrs[] = {
	&dev_attr_low.attr,
	&dev_attr_high.attr,
	&dev_attr_free.attr,
	&dev_attr_zeroed.attr,
	&dev_attr_allocated.attr,
	&dev_attr_returned.attr,
	&dev_attr_recycled.attr,
	&dev_attr_cleared.attr,
	&dev_attr_prepared.attr,
	&dev_attr_prefilled.attr,
	&dev_attr_reserved.attr,
	&dev_attr_reserved_free.attr,
	&dev_attr_lost.attr,
	&dev_attr_strays.attr,
	&dev_attr_failed.attr,
	&dev_attr_poisoned.attr,
	NULL,
};

static const struct attribute_group hspan_pool_group = {
	.name = "pool",
	.attrs = hspan_pool_attrs,
};

const struct attribute_group *hspan_sysfs_groups[] = {
	&hspan_group,
	&hspan_pool_group,
	&hspan_cache_group,
	NULL,
};

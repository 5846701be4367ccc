// SPDX-License-Identifier: GPL-2.0-only
/* Commits the faults named by its parameter, so that the rig shows it sees it. */
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "which faults to commit, separated by +");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
static int table[4];
static volatile int five = 5;

static void do_uaf(void)
{
	volatile char *p = kmalloc(64, GFP_KERNEL);

	kfree((void *)p);
	(void)p[8];
}

static void do_overflow(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
	p[64] = 1;
	kfree(p);
}

static void do_inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void do_sleep(void)
{
	spin_lock(&spin);
	msleep(20); /* a shorter one may be over before it begins */
	spin_unlock(&spin);
}

static void do_unlock(void)
{
	mutex_unlock(&first);
}

static void do_leak(void)
{
	void *p = kmalloc(192, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
}

static void do_bounds(void)
{
	table[five] = 1;
}

static void do_list(void)
{
	LIST_HEAD(list);
	struct list_head item = { .next = NULL, .prev = NULL };

	list.next = &item;
	list_add(&item, &list);
}

static void do_preempt(void)
{
	(void)smp_processor_id();
}

static void do_warn(void)
{
	WARN_ON(five == 5);
}

static void do_oops(void)
{
	int *volatile nowhere = NULL;

	*(volatile int *)nowhere = 1;
}

static const struct {
	const char *name;
	void (*commit)(void);
} faults[] = {
	{ "uaf", do_uaf },	   { "overflow", do_overflow }, { "inversion", do_inversion },
	{ "sleep", do_sleep },	   { "unlock", do_unlock },	{ "leak", do_leak },
	{ "bounds", do_bounds },   { "list", do_list },		{ "preempt", do_preempt },
	{ "warn", do_warn },	   { "oops", do_oops },
};

static void commit(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (!strcmp(name, faults[i].name))
			faults[i].commit();
}

static int __init faulty_init(void)
{
	char *name;

	while ((name = strsep(&fault, "+")))
		commit(name);
	fault = "";
	return 0;
}
module_init(faulty_init);

static void __exit faulty_exit(void)
{
}
module_exit(faulty_exit);

MODULE_DESCRIPTION("commits faults on request");
MODULE_LICENSE("GPL");

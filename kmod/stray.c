// SPDX-License-Identifier: GPL-2.0-only
/*
 * Strays: blocks that left their arena while someone else, a pipe or a device,
 * still referred to them.
 *
 * We keep a reference, and their user goes on paying, until it is the only one:
 * else a user could have any amount of memory, by a page of each block in
 * a pipe.  Then they go to the system.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/page_ref.h>
#include <linux/workqueue.h>

#include "hugespan.h"

#define HSPAN_STRAY_PERIOD	HZ

static DEFINE_SPINLOCK(hspan_strays_lock);
static LIST_HEAD(hspan_strays);		/* hspan_strays_lock */
static unsigned long hspan_nr_strays;	/* the same; read unlocked */

static void hspan_stray_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(hspan_stray_dwork, hspan_stray_work);

/**
 * hspan_stray_add() - follow a block that someone else still refers to
 * @arena: where it was
 * @folio: unmapped; a reference is passed on to us
 *
 * Any context.
 */
void hspan_stray_add(struct hspan_arena *arena, struct folio *folio)
{
	folio->private = hspan_user_hold(arena->user, HSPAN_BLOCK_SIZE);
	spin_lock(&hspan_strays_lock);
	list_add_tail(&folio->lru, &hspan_strays);
	WRITE_ONCE(hspan_nr_strays, hspan_nr_strays + 1);
	spin_unlock(&hspan_strays_lock);
	schedule_delayed_work(&hspan_stray_dwork, HSPAN_STRAY_PERIOD);
}

/* Take those off the list that only we refer to, or all. */
static void hspan_strays_take(struct list_head *taken, bool all)
{
	struct folio *folio, *next;

	spin_lock(&hspan_strays_lock);
	list_for_each_entry_safe(folio, next, &hspan_strays, lru) {
		if (!all) {
			if (!folio_ref_freeze(folio, 1))
				continue;
			folio_ref_unfreeze(folio, 1);
		}
		list_move(&folio->lru, taken);
		WRITE_ONCE(hspan_nr_strays, hspan_nr_strays - 1);
	}
	spin_unlock(&hspan_strays_lock);
}

static void hspan_strays_free(bool all)
{
	struct folio *folio, *next;
	LIST_HEAD(taken);

	hspan_strays_take(&taken, all);
	list_for_each_entry_safe(folio, next, &taken, lru) {
		list_del_init(&folio->lru);
		hspan_user_release(folio->private, HSPAN_BLOCK_SIZE);
		folio->private = NULL;
		folio_put(folio);
	}
}

/**
 * hspan_strays_reap() - free the strays that nobody else refers to any more
 *
 * Return: how many are left.
 */
unsigned long hspan_strays_reap(void)
{
	hspan_strays_free(false);
	return hspan_strays_count();
}

unsigned long hspan_strays_count(void)
{
	return READ_ONCE(hspan_nr_strays);
}

static void hspan_stray_work(struct work_struct *work)
{
	if (hspan_strays_reap())
		schedule_delayed_work(&hspan_stray_dwork, HSPAN_STRAY_PERIOD);
}

/* No arena is left; whoever else has one frees it. */
void hspan_strays_exit(void)
{
	cancel_delayed_work_sync(&hspan_stray_dwork);
	hspan_strays_free(true);
}

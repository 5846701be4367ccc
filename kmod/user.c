// SPDX-License-Identifier: GPL-2.0-only
/*
 * Users, and what each may make the kernel hold: blocks and tables of all
 * arenas they created, in bytes, within one limit.
 *
 * An arena is its creator's, by real user ID as for RLIMIT_MEMLOCK, whoever
 * uses it later.  Each allocation is charged before it is made and uncharged
 * when it is freed, so that the sum is 0 when the last arena is gone.  Creators
 * with CAP_IPC_LOCK are counted, too, but not limited.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>
#include <linux/xarray.h>

#include "hugespan.h"

/* By kuid.  Its xa_lock guards hspan_user.refs. */
static DEFINE_XARRAY(hspan_users);

/* In blocks, for each user; ULONG_MAX = none.  Written by sysfs. */
unsigned long hspan_user_limit = ULONG_MAX;

static struct hspan_user *hspan_user_find(kuid_t uid)
{
	struct hspan_user *user;

	xa_lock(&hspan_users);
	user = xa_load(&hspan_users, __kuid_val(uid));
	if (user)
		user->refs++;
	xa_unlock(&hspan_users);
	return user;
}

static struct hspan_user *hspan_user_get(kuid_t uid)
{
	struct hspan_user *user, *fresh;
	int err;

	user = hspan_user_find(uid);
	if (user)
		return user;
	fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return ERR_PTR(-ENOMEM);
	fresh->uid = uid;
	fresh->refs = 1;
	do {
		err = xa_insert(&hspan_users, __kuid_val(uid), fresh,
				GFP_KERNEL_ACCOUNT);
		if (!err)
			return fresh;
		user = err == -EBUSY ? hspan_user_find(uid) : ERR_PTR(err);
	} while (!user);	/* gone again */
	kfree(fresh);
	return user;
}

static void hspan_user_put(struct hspan_user *user)
{
	bool last;

	xa_lock(&hspan_users);
	last = !--user->refs;
	if (last)
		__xa_erase(&hspan_users, __kuid_val(user->uid));
	xa_unlock(&hspan_users);
	if (!last)
		return;
	WARN_ON_ONCE(atomic_long_read(&user->charged));
	kfree(user);
}

/**
 * hspan_user_join() - make the caller the one who pays for an arena
 * @arena: a new one
 *
 * Return: 0 or -ENOMEM.
 */
int hspan_user_join(struct hspan_arena *arena)
{
	struct hspan_user *user = hspan_user_get(current_uid());

	if (IS_ERR(user))
		return PTR_ERR(user);
	arena->user = user;
	arena->unlimited = ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK);
	return 0;
}

/* Everything the arena was charged for has been freed. */
void hspan_user_leave(struct hspan_arena *arena)
{
	WARN_ON_ONCE(atomic_long_read(&arena->charged));
	hspan_user_put(arena->user);
}

/**
 * hspan_user_hold() - let a user pay beyond the end of an arena
 * @user: the arena's
 * @bytes: for what the arena is about to uncharge; has no limit therefore
 *
 * Any context.
 *
 * Return: the user, for hspan_user_release().
 */
struct hspan_user *hspan_user_hold(struct hspan_user *user, unsigned long bytes)
{
	xa_lock(&hspan_users);
	user->refs++;
	xa_unlock(&hspan_users);
	atomic_long_add(bytes, &user->charged);
	return user;
}

void hspan_user_release(struct hspan_user *user, unsigned long bytes)
{
	atomic_long_sub(bytes, &user->charged);
	hspan_user_put(user);
}

static bool hspan_user_may_hold(unsigned long bytes)
{
	return DIV_ROUND_UP(bytes, HSPAN_BLOCK_SIZE) <=
	       READ_ONCE(hspan_user_limit);
}

/**
 * hspan_charge() - ask for memory on behalf of an arena's user
 * @arena: the arena
 * @bytes: how much; the caller allocates it if it may, and frees it with
 *	hspan_uncharge()
 *
 * Return: 0, or -EDQUOT with nothing charged.
 */
int hspan_charge(struct hspan_arena *arena, unsigned long bytes)
{
	struct hspan_user *user = arena->user;
	long held = atomic_long_read(&user->charged);

	do {
		if (!arena->unlimited && !hspan_user_may_hold(held + bytes))
			return -EDQUOT;
	} while (!atomic_long_try_cmpxchg(&user->charged, &held, held + bytes));
	atomic_long_add(bytes, &arena->charged);
	return 0;
}

/* Any context. */
void hspan_uncharge(struct hspan_arena *arena, unsigned long bytes)
{
	WARN_ON_ONCE(atomic_long_sub_return(bytes, &arena->charged) < 0);
	atomic_long_sub(bytes, &arena->user->charged);
}

/**
 * hspan_users_sum() - what all users hold
 * @nr: out: how many users have an arena, or a stray block of one
 *
 * Return: bytes charged to them.
 */
unsigned long hspan_users_sum(unsigned long *nr)
{
	struct hspan_user *user;
	unsigned long uid, sum = 0;

	*nr = 0;
	xa_lock(&hspan_users);
	xa_for_each(&hspan_users, uid, user) {
		sum += atomic_long_read(&user->charged);
		++*nr;
	}
	xa_unlock(&hspan_users);
	return sum;
}

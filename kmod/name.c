// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names of arenas: at most one living arena of a name in each user namespace.
 *
 * A name lives as long as its arena, and refers to it without a reference.
 * Who may open it is decided by the mode and owner of the arena's inode.
 */
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/string.h>
#include <linux/stringhash.h>
#include <linux/user_namespace.h>

#include "hugespan.h"

static DEFINE_SPINLOCK(hspan_names_lock);
static DEFINE_HASHTABLE(hspan_names, 8);	/* hspan_names_lock */

/**
 * hspan_name_check() - is this a name?
 * @name: HSPAN_NAME_SIZE bytes from user space
 *
 * Return: 0, -ENAMETOOLONG if it does not end, or -EINVAL if it is empty, has
 * another character than graphic ASCII or a slash in it, or more behind it.
 */
int hspan_name_check(const char *name)
{
	size_t len = strnlen(name, HSPAN_NAME_SIZE), i;

	if (len == HSPAN_NAME_SIZE)
		return -ENAMETOOLONG;
	if (!len || memchr_inv(name + len, 0, HSPAN_NAME_SIZE - len))
		return -EINVAL;
	for (i = 0; i < len; i++)
		if (!isascii(name[i]) || !isgraph(name[i]) || name[i] == '/')
			return -EINVAL;
	return 0;
}

static u32 hspan_name_hash(const struct user_namespace *ns, const char *name)
{
	return full_name_hash(ns, name, strlen(name));
}

/* The living arena of that name, with a reference, or NULL. */
static struct hspan_arena *hspan_name_lookup(const struct user_namespace *ns,
					     const char *name)
{
	struct hspan_arena *arena;

	lockdep_assert_held(&hspan_names_lock);
	hash_for_each_possible(hspan_names, arena, name_node,
			       hspan_name_hash(ns, name))
		if (arena->name_ns == ns && !strcmp(arena->name, name) &&
		    kref_get_unless_zero(&arena->ref))
			return arena;
	return NULL;
}

/**
 * hspan_name_add() - let an arena be found by its name
 * @arena: complete; its name has been checked
 *
 * Return: 0, or -EEXIST if there is such an arena in the caller's user
 * namespace.
 */
int hspan_name_add(struct hspan_arena *arena)
{
	struct user_namespace *ns = current_user_ns();
	struct hspan_arena *other;

	spin_lock(&hspan_names_lock);
	other = hspan_name_lookup(ns, arena->name);
	if (!other) {
		arena->name_ns = get_user_ns(ns);
		hash_add(hspan_names, &arena->name_node,
			 hspan_name_hash(ns, arena->name));
	}
	spin_unlock(&hspan_names_lock);
	if (!other)
		return 0;
	hspan_arena_put(other);
	return -EEXIST;
}

/* Does nothing to an arena whose name was not added. */
void hspan_name_del(struct hspan_arena *arena)
{
	if (!arena->name_ns)
		return;
	spin_lock(&hspan_names_lock);
	hash_del(&arena->name_node);
	spin_unlock(&hspan_names_lock);
	put_user_ns(arena->name_ns);
}

/**
 * hspan_name_open() - find an arena that the caller may use
 * @name: has been checked
 *
 * Return: the arena with a reference, or an ERR_PTR: -ENOENT, or -EACCES if
 * the caller may not both read and write it.
 */
struct hspan_arena *hspan_name_open(const char *name)
{
	struct hspan_arena *arena;
	int err;

	spin_lock(&hspan_names_lock);
	arena = hspan_name_lookup(current_user_ns(), name);
	spin_unlock(&hspan_names_lock);
	if (!arena)
		return ERR_PTR(-ENOENT);
	err = hspan_inode_permission(arena->inode, MAY_READ | MAY_WRITE);
	if (err) {
		hspan_arena_put(arena);
		return ERR_PTR(err);
	}
	return arena;
}

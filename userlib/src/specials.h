/* SPDX-License-Identifier: MIT */
/*
 * What is known of objects besides their contents: weak references to them,
 * their ephemerons, finalizers and cleanups.
 *
 * All are entries of one table outside the heap.  What an entry names of the heap
 * keeps nothing alive, but for an argument, and for what waits to be finalized:
 * those words are roots.
 */
#ifndef HS_SPECIALS_H
#define HS_SPECIALS_H

#include "internal.h"

enum hs_special_kind {
	HS_FREE,
	HS_WEAK,
	HS_WEAK_LONG,
	HS_EPHEMERON,
	HS_FINALIZER,
	HS_CLEANUP,
	HS_READY, /* a finalizer or cleanup that is due */
};

/**
 * struct hs_special - an entry; what its words are depends on the kind
 * @object: pointed to, key, or watched; of a cleanup that is due 0
 * @arg: weak: the reference; ephemeron: the table; else the argument, a root
 * @value: ephemeron: the value; else the function
 * @next: number + 1 of the next in its chain
 * @kind: enum hs_special_kind
 * @order: HSPAN_FINALIZE_*
 * @doubtful: a long weak reference to what only a finalizer may bring back
 */
struct hs_special {
	uintptr_t object;
	uintptr_t arg;
	uintptr_t value;
	uint32_t next;
	uint8_t kind;
	uint8_t order;
	bool doubtful;
};

/*
 * The table's lock.  Threads hold it in critical sections only; the collector
 * for a few hundred entries at a time.  The calls below want it held.
 */
void hs_specials_lock(void);
void hs_specials_unlock(void);

/* The first entry of that kind and @key (weak: by @arg; else by @object), or NULL. */
struct hs_special *hs_special_find(enum hs_special_kind kind, uintptr_t key);
/* The next after @e in the same chain that has the same kind and key, or NULL. */
struct hs_special *hs_special_next(const struct hs_special *e);

/* Add a copy of @e; NULL without memory. */
struct hs_special *hs_special_add(const struct hs_special *e);
void hs_special_remove(struct hs_special *e);

/*
 * It is to be called: taken out of its chain, put at the end of those that are due
 * once all that are have been found, which hs_specials_publish() says.
 */
void hs_special_due(struct hs_special *e);
void hs_specials_publish(void);
/* Take the first that is due; false when none is. */
bool hs_special_take(struct hs_special *e);

/*
 * Without the lock: call @fn, with it, for some entries from number *@at on; it may
 * change or remove the one it is given.  False when that was the end.
 */
typedef void hs_special_fn(struct hs_special *e, void *arg);
bool hs_specials_some(uint32_t *at, hs_special_fn *fn, void *arg);
void hs_specials_each(hs_special_fn *fn, void *arg);

/* Without the lock: is there any, and how many are due? */
bool hs_specials_exist(void);
uint64_t hs_specials_due(void);

/* Is the object that @word points into alive as far as marking is concerned? */
bool hs_special_alive(uintptr_t word);

#endif /* HS_SPECIALS_H */

/* SPDX-License-Identifier: MIT */
/* What is reachable from one root only. */
#ifndef HS_HELD_H
#define HS_HELD_H

#include "internal.h"

/* Called by the collector when it has marked. */
void hs_held_look(void);

/* Around a question and the use of what it leaves in hs_site.held. */
void hs_held_lock(void);
void hs_held_unlock(void);

/*
 * Run a cycle and find what is reachable from the root that begins at @root, and
 * from nothing else: so many objects of so many bytes.  0, -ENOENT, -ENOMEM.
 */
int hs_held_ask(const void *root, uint64_t *objects, uint64_t *bytes);

#endif /* HS_HELD_H */

/* SPDX-License-Identifier: MIT */
/* The limit in force: the program's own, or what its cgroup leaves. */
#ifndef HS_LIMIT_H
#define HS_LIMIT_H

#include "internal.h"

int hs_limit_init(size_t user);
size_t hs_limit_set_user(size_t bytes);
void hs_limit_look(bool now);
bool hs_limit_raise(uint64_t blocks);
bool hs_limit_counts(void);
uint64_t hs_limit_blocks(void);
void hs_limit_stats(struct hspan_stats *stats);

/* watch.c */
int hs_watch_start(void);
void hs_watch_stop(void);
void hs_watch_kick(void);
void hs_watch_stats(struct hspan_stats *stats);

#endif /* HS_LIMIT_H */

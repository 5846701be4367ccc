/* SPDX-License-Identifier: MIT */
/* What allocator and collector ask of, and tell, the pacer. */
#ifndef HS_PACER_H
#define HS_PACER_H

#include "internal.h"

void hs_pacer_init(int percent);
void hs_pacer_charge(struct hs_thread *t, uint64_t bytes);
void hs_pacer_settle(struct hs_thread *t);
void hs_pacer_refund(uint64_t bytes);
void hs_pacer_assist(struct hs_thread *t);
void hs_pacer_take_assisted(uint64_t *bytes, uint64_t *objects);
bool hs_pacer_wants_cycle(void);
bool hs_pacer_overdrawn(void);
bool hs_pacer_at_ceiling(void);
bool hs_pacer_is_full(uint64_t held);
uint64_t hs_pacer_heap(void);
uint64_t hs_pacer_total(void);
void hs_pacer_begin(void);
void hs_pacer_marked(uint64_t bytes);
void hs_pacer_spent(uint64_t ns);
void hs_pacer_look_at_cap(void);
bool hs_pacer_is_capped(void);
void hs_pacer_roots(uint64_t bytes);
uint64_t hs_pacer_roots_seen(void);
void hs_pacer_stalled(uint64_t ns);
void hs_pacer_cycle_done(uint64_t marked, uint64_t black, uint64_t end);
void hs_pacer_swept(uint64_t used);
uint64_t hs_pacer_retain(void);
bool hs_pacer_grown(void);
int hs_pacer_set_percent(int percent);
void hs_pacer_set_limit(uint64_t bytes);
void hs_pacer_set_pressure(unsigned int level);
void hs_pacer_trace(void);
void hs_pacer_stats(struct hspan_stats *stats);

#endif /* HS_PACER_H */

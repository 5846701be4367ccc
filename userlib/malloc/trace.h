/* SPDX-License-Identifier: MIT */
/*
 * Finding leaks: every object is listed with the stack that allocated it, and
 * when the process ends, those that nothing points to are told.
 */
#ifndef HM_TRACE_H
#define HM_TRACE_H

#include "hm.h"
#include "samples.h"

/* trace.c: the list of objects */
void hm_trace_init(const char *path);
void hm_trace_alloc(const void *p, size_t size);
void hm_trace_free(const void *p);
void hm_trace_lock(void);
void hm_trace_unlock(void);

/*
 * leaks.c: find which of the live objects nothing points to, from @frame up and
 * from outside this library's own memory: .held of their sites counts them.
 * False when there is no memory to do it.
 */
bool hm_leaks_find(struct hs_samples *samples, uintptr_t frame);

#endif /* HM_TRACE_H */

/* SPDX-License-Identifier: MIT */
/* What is measured each time it happens: histograms of how long it took. */
#ifndef HS_TIMED_H
#define HS_TIMED_H

#include "internal.h"

enum hs_timed {
	HS_TIMED_STOP,	  /* a thread was held by a handshake */
	HS_TIMED_BARRIER, /* a whole handshake, from asking to the last ack; */
	HS_TIMED_SCAN,	  /* in the order of enum hs_handshake */
	HS_TIMED_DRAIN,
	HS_TIMED_FLUSH,
	HS_TIMED_SNAPSHOT,
	HS_TIMED_ASSIST, /* a mutator marked */
	HS_TIMED_WAIT,	 /* or waited for the collector */
	HS_TIMED_MARK,	 /* a mark phase */
	HS_TIMED_CYCLE,	 /* a cycle with its sweep */
	HS_NR_TIMED,
};

/* Async-signal-safe. */
void hs_timed(enum hs_timed what, uint64_t ns);

void hs_timed_read(enum hs_timed what, struct hspan_histogram *h);
void hs_timed_reset(void);

#endif /* HS_TIMED_H */

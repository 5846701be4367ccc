/* SPDX-License-Identifier: MIT */
/*
 * What the library asks of the place its spans come from: one small table of
 * calls, filled in by backend_embedded.c and backend_module.c.
 */
#ifndef HS_BACKEND_H
#define HS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/hugespan.h>

/**
 * struct hs_space - the memory of an arena, as a backend maps it
 * @data: its first byte, aligned to a block
 * @size: bytes of it, a multiple of a block
 * @page_map: an entry a page; see HSPAN_PM_*
 * @bits: HSPAN_BITS_PLANES planes of HSPAN_BITS_STRIDE bytes a page
 * @notes: a word a page, for HSPAN_NOTE_*
 * @control: sweepgen and pressure
 * @shared_bits: what a fork()ed child writes there arrives; set before open(), which
 *	may have no others
 * @limit: blocks that it gives out if nothing is set, UINT64_MAX = any number
 */
struct hs_space {
	char *data;
	size_t size;
	const uint32_t *page_map;
	uint8_t *bits;
	uint32_t *notes;
	const volatile struct hspan_control *control;
	bool shared_bits;
	uint64_t limit;
};

/**
 * struct hs_backend - a source of spans
 *
 * Calls return a count or 0, or a negative errno; their meaning is that of
 * the ioctl of the same name in <linux/hugespan.h>.  They may be made by any
 * thread at once.  Callers that a handshake may interrupt are in a critical
 * section (hs_enter()), so that no backend lock is ever held by a stopped
 * thread.  None of them allocates with malloc().
 *
 * span_extend() makes a large span of @npages longer by @more, if the pages right
 * behind it are free; @dirty says how many of those may not be zero.  NULL where
 * that cannot be done.
 *
 * notice_fd() is a descriptor that poll() finds POLLPRI on when the machine
 * needs memory, the control page showing how much; or -1.
 */
struct hs_backend {
	const char *name;
	int (*open)(size_t arena_size, struct hs_space *space);
	void (*close)(void);
	int (*span_get)(uint32_t span_class, uint32_t npages, uint32_t flags,
			struct hspan_span *spans, uint32_t nr);
	int (*span_put)(struct hspan_put *puts, uint32_t nr);
	bool (*span_extend)(uint32_t page, uint32_t npages, uint32_t more, uint32_t *dirty);
	int (*sweep_next)(struct hspan_span *spans, uint32_t nr);
	int (*cycle)(uint32_t *sweepgen);
	int64_t (*release)(uint64_t max_blocks);
	int (*set_limit)(uint64_t blocks);
	int (*notice_fd)(void);
	int (*stats)(struct hspan_arena_stats *stats);
};

extern const struct hs_backend hs_backend_embedded;
extern const struct hs_backend hs_backend_module;

#endif /* HS_BACKEND_H */

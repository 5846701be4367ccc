#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Choose the size classes and write sizeclass_table.h to standard output.

A span is a run of 8 KiB pages cut into slots of one size.  Three kinds of
waste pull against each other: bytes asked for but not used in a slot, bytes
left over at the tail of a span, and partly used spans, of which there are the
more the more classes there are.

 1. Candidate sizes go up in steps.  The step is the largest alignment that
    costs at most about an eighth of the size, and never more than 256 bytes.
 2. A candidate's span is the smallest run of pages whose tail wastes no more
    than an eighth of the run.
 3. Two candidates whose spans have as many pages and as many slots differ in
    nothing but the slot: only the larger is kept.
 4. A slot grows into its span's tail as far as that goes by whole units of
    128 bytes, so that what would be tail waste serves larger requests.

Slot numbers are computed from byte offsets by a multiplication and a shift;
the script proves that exact for every offset of a span of every class.
"""
import sys

PAGE = 8192
SMALL_MAX = 32768
FINE_MAX = 1024         # up to here the lookup table has 8-byte steps
FINE, COARSE = 8, 128   # steps of the two lookup tables
TAIL = 8                # at most 1/TAIL of a span may be left over
STEP_MAX = 256
BITS_PER_PAGE = 1024    # mark and allocation bits of a page: 128 bytes


class SizeClass:
    """Slots of @size bytes in spans of @pages pages."""

    def __init__(self, size, pages):
        self.size, self.pages = size, pages

    @property
    def span(self):
        return self.pages * PAGE

    @property
    def nelems(self):
        return self.span // self.size

    @property
    def tail(self):
        return self.span - self.nelems * self.size

    @property
    def magic(self):
        return (2**32 + self.size - 1) // self.size


def step_after(size):
    """Distance from @size to the next candidate."""
    if size < 32:
        return 8        # 24: three words, a common object
    if size < 128:
        return 16
    return min(1 << (size.bit_length() - 4), STEP_MAX)


def pages_for(size):
    pages = 1
    while pages * PAGE % size > pages * PAGE // TAIL:
        pages += 1
    return pages


def candidates():
    size = 8
    while size <= SMALL_MAX:
        yield SizeClass(size, pages_for(size))
        size += step_after(size)


def merged(classes):
    out = []
    for c in classes:
        if out and (out[-1].pages, out[-1].nelems) == (c.pages, c.nelems):
            out[-1] = c
        else:
            out.append(c)
    return out


def grown(c):
    size = c.span // c.nelems // COARSE * COARSE
    return SizeClass(max(size, c.size), c.pages)


def choose():
    return [grown(c) for c in merged(candidates())]


def check_magic(c):
    """off * magic >> 32 rises with off: exact at both ends of every slot
    (and of the tail) means exact everywhere."""
    for slot in range(c.nelems + 1):
        first, last = slot * c.size, min((slot + 1) * c.size, c.span) - 1
        if first >= c.span:
            break
        assert first * c.magic >> 32 == slot, (c.size, first)
        assert last * c.magic >> 32 == slot, (c.size, last)


def check(classes):
    sizes = [c.size for c in classes]
    assert sizes == sorted(set(sizes)) and sizes[-1] == SMALL_MAX
    for c in classes:
        assert c.size % 8 == 0 and c.magic < 2**32 and c.pages < 256
        assert c.size == 24 or c.size < 16 or c.size % 16 == 0
        assert c.size <= FINE_MAX or c.size % COARSE == 0
        assert c.tail * TAIL <= c.span
        if c.size >= 16:
            assert 2 * -(-c.nelems // 64) * 64 <= c.pages * BITS_PER_PAGE
        check_magic(c)
    assert classes[0].nelems == 1024


def lookup(classes, requests):
    return [min(i for i, c in enumerate(classes, 1) if c.size >= r)
            for r in requests]


def array(ctype, name, bound, values, per_line):
    print(f'\nHSPAN_TABLE({ctype}) {name}[{bound}] = {{')
    for i in range(0, len(values), per_line):
        print('\t' + ', '.join(str(v) for v in values[i:i + per_line]) + ',')
    print('};')


def comment_table(classes):
    print('/*\n * class   size  pages  slots  tail  worst waste')
    below = 0
    for i, c in enumerate(classes, 1):
        lost = (c.size - below - 1) * c.nelems + c.tail
        print(f' * {i:5} {c.size:6} {c.pages:6} {c.nelems:6} {c.tail:5}'
              f'  {100 * lost / c.span:9.2f} %')
        below = c.size
    print(' */')


def emit(classes):
    n = len(classes) + 1
    print('/* SPDX-License-Identifier: GPL-2.0-only OR MIT */')
    print('/* Written by gen-sizeclasses.py, which says how; do not edit. */')
    print('#ifndef _HUGESPAN_SIZECLASS_TABLE_H')
    print('#define _HUGESPAN_SIZECLASS_TABLE_H\n')
    comment_table(classes)
    print(f'#define HSPAN_NR_SIZE_CLASSES\t{n}')
    print('#define HSPAN_NR_SPAN_CLASSES\t(HSPAN_NR_SIZE_CLASSES * 2)')
    print(f'#define HSPAN_SMALL_MAX\t\t{SMALL_MAX}')
    print('\n/* Not every file that sees the tables needs them all. */')
    print('#define HSPAN_TABLE(type)\tstatic const type '
          '__attribute__((__unused__))')
    bound = 'HSPAN_NR_SIZE_CLASSES'
    array('unsigned short', 'hspan_class_size', bound,
          [0] + [c.size for c in classes], 10)
    array('unsigned char', 'hspan_class_pages', bound,
          [0] + [c.pages for c in classes], 16)
    array('unsigned short', 'hspan_class_nelems', bound,
          [1] + [c.nelems for c in classes], 12)
    array('unsigned int', 'hspan_class_magic', bound,
          [f'0x{m:08x}' for m in [0] + [c.magic for c in classes]], 6)
    fine = lookup(classes, range(0, FINE_MAX, FINE))
    coarse = lookup(classes, range(FINE_MAX, SMALL_MAX + 1, COARSE))
    array('unsigned char', 'hspan_size_to_class8', len(fine), fine, 16)
    array('unsigned char', 'hspan_size_to_class128', len(coarse), coarse, 16)
    print('\n#undef HSPAN_TABLE')
    print('\n#endif /* _HUGESPAN_SIZECLASS_TABLE_H */')


def main():
    classes = choose()
    check(classes)
    emit(classes)
    return 0


if __name__ == '__main__':
    sys.exit(main())

// SPDX-License-Identifier: MIT
/* A library that a test loads, for the sake of its data: some zero, some not. */
void *late_bss[16];
void *late_data[16] = {&late_data};

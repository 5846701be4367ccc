// SPDX-License-Identifier: MIT
/* What is mapped to run, where, from which file, and that file's build id. */
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "prof.h"

#define BUILD_ID_MOST 64
#define LINE_MOST     4608 /* a path, and what stands before it */

/** struct wanted - the build id of what is loaded at @address, in hex */
struct wanted {
	uint64_t address;
	char id[2 * BUILD_ID_MOST + 1];
};

static size_t align4(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* A note is its head, its owner's name and what it says, each padded to 4 bytes. */
static void read_notes(const char *p, const char *end, struct wanted *w)
{
	const ElfW(Nhdr) * note;
	const unsigned char *says;

	for (; (size_t)(end - p) >= sizeof(*note);
	     p += sizeof(*note) + align4(note->n_namesz) + align4(note->n_descsz)) {
		note = (const void *)p;
		says = (const unsigned char *)(note + 1) + align4(note->n_namesz);
		if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 ||
		    memcmp(note + 1, "GNU", 4) || note->n_descsz > BUILD_ID_MOST)
			continue;
		for (unsigned int i = 0; i < note->n_descsz; i++)
			snprintf(w->id + 2 * i, 3, "%02x", says[i]);
		return;
	}
}

static bool is_at(const struct dl_phdr_info *info, uint64_t address)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && address - (info->dlpi_addr + ph->p_vaddr) < ph->p_memsz)
			return true;
	}
	return false;
}

static int see_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct wanted *w = arg;

	(void)size;
	if (!is_at(info, w->address))
		return 0;
	for (int i = 0; i < info->dlpi_phnum && !*w->id; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *notes = (const char *)(info->dlpi_addr + ph->p_vaddr);

		if (ph->p_type == PT_NOTE)
			read_notes(notes, notes + ph->p_memsz, w);
	}
	return 1;
}

static void add_mapping(struct hp_build *b, Pprof__Mapping *m, const char *path)
{
	struct wanted w = { .address = m->memory_start };

	dl_iterate_phdr(see_object, &w);
	m->id = b->mappings.count + 1;
	m->filename = hp_string(b, path);
	m->build_id = hp_string(b, w.id);
	hp_push(b, &b->mappings, m);
}

/* "start-end rwxp offset device inode path" */
static void see_line(struct hp_build *b, char *line)
{
	uint64_t start, end, offset;
	Pprof__Mapping *m;
	char mode[5];
	int at = 0;

	line[strcspn(line, "\n")] = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &start, &end, mode,
		   &offset, &at) < 4 || mode[2] != 'x' || !at)
		return;
	m = hp_alloc(b, sizeof(*m));
	if (!m)
		return;
	pprof__mapping__init(m);
	m->memory_start = start;
	m->memory_limit = end;
	m->file_offset = offset;
	add_mapping(b, m, line + at);
}

void hp_add_mappings(struct hp_build *b)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[LINE_MOST];

	while (maps && fgets(line, sizeof(line), maps))
		see_line(b, line);
	if (maps)
		fclose(maps);
}

uint64_t hp_mapping_of(const struct hp_build *b, uint64_t address)
{
	Pprof__Mapping *const *m = b->mappings.items;

	for (size_t i = 0; i < b->mappings.count; i++)
		if (address - m[i]->memory_start < m[i]->memory_limit - m[i]->memory_start)
			return m[i]->id;
	return 0;
}

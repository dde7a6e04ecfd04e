/* What GCC's unwinder asks of glibc, and musl has not: which part of the program an address lies in, and
 * where the table of its frames is. A static program has one part. Built in by contrib/static.sh. */
#define _GNU_SOURCE
#include <link.h>
#include <stddef.h>

/* As <dlfcn.h> of glibc 2.35 has it. */
struct dl_find_object {
    unsigned long long flags;
    void *map_start;
    void *map_end;
    void *link_map;
    void *eh_frame;
    unsigned long long reserved[7];
};

struct wanted {
    ElfW(Addr) address;
    struct dl_find_object *found;
};

static int look(struct dl_phdr_info *info, size_t size, void *data) {
    struct wanted *wanted = data;
    void *table = NULL, *start = NULL, *end = NULL;
    (void)size;
    for (int at = 0; at < info->dlpi_phnum; at++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[at];
        ElfW(Addr) begins = info->dlpi_addr + part->p_vaddr;
        if (part->p_type == PT_GNU_EH_FRAME) {
            table = (void *)begins;
        } else if (part->p_type == PT_LOAD && wanted->address - begins < part->p_memsz) {
            start = (void *)begins;
            end = (void *)(begins + part->p_memsz);
        }
    }
    if (table == NULL || start == NULL) return 0;
    wanted->found->map_start = start;
    wanted->found->map_end = end;
    wanted->found->eh_frame = table;
    return 1;
}

int _dl_find_object(void *address, struct dl_find_object *found) {
    struct wanted wanted = {(ElfW(Addr))address, found};
    *found = (struct dl_find_object){0};
    return dl_iterate_phdr(look, &wanted) ? 0 : -1;
}

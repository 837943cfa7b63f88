/* data/dataset_list.h - what a dataset is inside: for dataset.c, which reads from it, and for
 * the files that fill it. */
#ifndef GML_DATA_DATASET_LIST_H
#define GML_DATA_DATASET_LIST_H

#include "base/map.h"
#include "data/dataset.h"

#define GML_NO_CLASS UINT32_MAX

typedef struct gml_picture_place {
    const char *name;      /* path below the root; or the member's name */
    uint32_t class, shard; /* GML_NO_CLASS; GML_NO_CLASS where there are no shards */
    uint64_t offset, size; /* in the shard */
} gml_picture_place;

typedef struct gml_class {
    const char *name;
    uint32_t number; /* while they are collected; their places are final */
} gml_class;

struct gml_dataset {
    gml_arena arena;
    const char *root;
    gml_vec(gml_picture_place) pictures;
    gml_vec(gml_class) classes;
    gml_vec(const char *) shards; /* names below the root */
    gml_map class_map;            /* name to number + 1, as a pointer */
};

/* Whether the name ends like a picture's. */
bool gml_picture_named(const char *name);
/* The number of a class, made on first sight. */
uint32_t gml_dataset_add_class(gml_dataset *dataset, const char *name, size_t len);

/* Names of the entries of the folder `path` (in `arena`, sorted), without those that begin with
 * a dot. */
typedef struct gml_entry {
    const char *name;
    bool is_folder;
} gml_entry;

typedef struct gml_entries {
    gml_entry *items;
    size_t count;
} gml_entries;

GML_MUST_CHECK gml_status gml_entries_read(const char *path, gml_arena *arena,
                                           gml_entries *out_entries, gml_diags *diags);

/* Adds the pictures below root/`folder`, as those of `class`. */
GML_MUST_CHECK gml_status gml_dataset_add_folder(gml_dataset *dataset, const char *folder,
                                                 uint32_t class, gml_diags *diags);
/* Adds the members of the next of dataset->shards. */
GML_MUST_CHECK gml_status gml_dataset_add_shard(gml_dataset *dataset, uint32_t shard,
                                                gml_diags *diags);

#endif

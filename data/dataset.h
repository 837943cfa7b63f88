/* data/dataset.h - a folder of pictures, or of tar files with pictures, as a numbered list.
 *
 * Three shapes of folder:
 *
 *     DIR/CLASS/….jpg       a class is a folder; pictures may lie deeper in it
 *     DIR/….jpg             no classes
 *     DIR/….tar             shards; a member's first folder, if it has one, is its class
 *
 * A folder that mixes them is refused. What is a picture is told by the ending (jpg, jpeg, png,
 * webp, bmp, ppm, pgm, tif, tiff, in any case); other files, and names that begin with a dot,
 * are passed over. Links are followed, 16 folders deep. Shards are not compressed.
 *
 * The order is by name, byte by byte: classes, then paths in them; shards, then places in them.
 * It is the same on every machine. Only names and places are kept in memory: some 60 bytes a
 * picture.
 *
 * Opening looks into every folder and at every header of every shard once, and at no picture. A
 * shard must not be shortened meanwhile. After that a dataset does not change; files may:
 * reading says so. Reading may run on many threads at once. Memory is the dataset's arena;
 * `gml_dataset_close` frees it.
 */
#ifndef GML_DATA_DATASET_H
#define GML_DATA_DATASET_H

#include "base/diag.h"
#include "base/str.h"
#include "data/work.h"

#define GML_MAX_PICTURE_FILE ((size_t)1 << 28) /* bytes of one picture file */

typedef struct gml_dataset gml_dataset;

/* GML_E_IO, or GML_E_INVALID: no pictures, mixed shapes, a damaged shard. `*out_dataset` is
 * untouched on failure. */
GML_MUST_CHECK gml_status gml_dataset_open(const char *path, gml_dataset **out_dataset,
                                           gml_diags *diags);
void gml_dataset_close(gml_dataset *dataset); /* accepts NULL */

uint32_t gml_dataset_count(const gml_dataset *dataset);     /* pictures, at least 1 */
uint32_t gml_dataset_n_classes(const gml_dataset *dataset); /* 0: there are none */
uint32_t gml_dataset_n_shards(const gml_dataset *dataset);
/* In order of the names. Never NULL. */
const char *gml_dataset_class_name(const gml_dataset *dataset, uint32_t class);
/* Of picture `i`; -1 when it has none. */
int64_t gml_dataset_class(const gml_dataset *dataset, uint32_t i);
/* Appends "DIR/PATH" or "DIR/SHARD:MEMBER". */
void gml_dataset_name(const gml_dataset *dataset, uint32_t i, gml_str *name);

/* The bytes of picture `i` as a file has them. */
typedef struct gml_picture_bytes {
    const uint8_t *data; /* in the work's GML_WORK_FILE, until that is used again */
    size_t size;
    char error[160]; /* after a failure */
} gml_picture_bytes;

/* GML_E_IO (gone, or unreadable), GML_E_INVALID (no regular file, changed), GML_E_RANGE (too
 * large), GML_E_MEMORY. */
GML_MUST_CHECK gml_status gml_dataset_read(const gml_dataset *dataset, uint32_t i,
                                           gml_work *work, gml_picture_bytes *out);

#endif

/* weights/torch_tree.h - the object of a PyTorch file as tensors by name. Private to weights/.
 */
#ifndef GML_WEIGHTS_TORCH_TREE_H
#define GML_WEIGHTS_TORCH_TREE_H

#include "weights/pickle.h"
#include "weights/table.h"

/* The elements that tensors are views of. */
typedef struct gml_torch_storage {
    gml_dtype dtype;
    uint64_t n_elements;
    const unsigned char *data;
} gml_torch_storage;

/* What a persistent identifier says: ("storage", type, key, place, n_elements, …). */
typedef struct gml_torch_identifier {
    gml_dtype dtype;
    uint64_t n_elements;
    gml_string key;
} gml_torch_identifier;

/* For gml_pickle_read. */
gml_pickle_options gml_torch_pickle_options(const char *file);

/* False when `value` is no identifier of a storage of whole elements. */
bool gml_torch_read_identifier(const gml_pickled *value, gml_torch_identifier *out);

/* Adds `value` and all that it holds to the table. `storages` has a gml_torch_storage by key.
 */
GML_MUST_CHECK gml_status gml_torch_flatten(const gml_pickled *value, const gml_map *storages,
                                            size_t max_copied, gml_weight_table *table);

#endif

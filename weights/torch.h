/* weights/torch.h - the files of torch.save.
 *
 * Since PyTorch 1.6 a file is a zip: "ROOT/data.pkl" is a pickle of dictionaries and of
 * tensors, each of which names a storage, "ROOT/data/KEY" (weights/zip.h). The form before is
 * five pickles (a magic number, a version, sizes, the object, the storages' keys), then for
 * each storage the number of its elements in 8 bytes, and its elements.
 *
 * Dictionaries, lists and namespaces become names with points. A tensor whose elements lie row
 * by row is a view of the file; of other ones the elements are gathered, altogether not more
 * bytes than the file has.
 *
 * Refused by name: what is not in torch_names.def; TorchScript programs; the tar of the very
 * first versions; big-endian files; compressed members; nesting deeper than 32.
 */
#ifndef GML_WEIGHTS_TORCH_H
#define GML_WEIGHTS_TORCH_H

#include "weights/table.h"

typedef enum gml_torch_form {
    GML_TORCH_NOT, /* another kind of file */
    GML_TORCH_ZIP,
    GML_TORCH_LEGACY,
    GML_TORCH_TAR,    /* refused */
    GML_TORCH_PICKLE, /* a pickle without storages: refused */
} gml_torch_form;

/* By the first bytes. */
gml_torch_form gml_torch_find_form(const void *bytes, size_t len);
/* Adds what the file holds to the table. The tensors are views of `bytes`, or lie in the
 * table's arena. */
GML_MUST_CHECK gml_status gml_torch_read(const void *bytes, size_t len,
                                         gml_weight_table *table);

#endif

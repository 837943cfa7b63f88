/* base/leftover.h - files and folders that must not stay behind when the process ends early.
 *
 * Whoever makes a temporary says so, and takes it back once it is renamed or removed. A program
 * that ends without running the rest of itself (no memory, a signal) calls
 * gml_leftovers_remove; the library never does.
 *
 * The table has 1024 places; what comes after is not remembered. All functions are
 * thread-safe and may be called in a signal handler.
 */
#ifndef GML_BASE_LEFTOVER_H
#define GML_BASE_LEFTOVER_H

/* `path` is borrowed until it is dropped: the same pointer, not the same text. */
void gml_leftover_add(const char *path);
void gml_leftover_drop(const char *path);
/* Removes the files, then the folders that are empty. */
void gml_leftovers_remove(void);

#endif

/* ir/loop.h - loop IR: what a fused group of nodes becomes, and all that code generation sees.
 *
 * A kernel has memories (tensors it reads and writes, and small locals), axes, and a body of
 * nested loops and stores. What is stored is an expression: loads at index expressions, scalar
 * operators, reductions over axes of their own.
 *
 *     kernel softmax(x: f32[R,C]) -> (y: f32[R,C])
 *     for i in R
 *         m = max(k in C: x[i,k])
 *         s = sum(k in C: exp(x[i,k] - m))
 *         for j in C
 *             y[i,j] = exp(x[i,j] - m) / s
 *
 * Expressions are immutable, typed and hash-consed: equal expressions are the same pointer.
 * `free` is the set of axes an expression depends on, as bits by axis number; a reduction binds
 * its own.
 *
 * Everything belongs to the kernel's arena. Not thread-safe.
 */
#ifndef GML_IR_LOOP_H
#define GML_IR_LOOP_H

#include "ir/type.h"

typedef enum gml_scalar_op {
#define X(name, text, n) GML_X_##name,
#include "ir/scalars.def"
#undef X
    GML_SCALAR_COUNT
} gml_scalar_op;

const char *gml_scalar_name(gml_scalar_op op);
int gml_scalar_arity(gml_scalar_op op);

typedef enum gml_reduce_op {
    GML_REDUCE_SUM,
    GML_REDUCE_PROD,
    GML_REDUCE_MIN, /* floats: NaN when any is */
    GML_REDUCE_MAX,
    GML_REDUCE_AND, /* bits; bool: logical */
    GML_REDUCE_OR,
} gml_reduce_op;

#define GML_MAX_AXES 64

typedef struct gml_expr gml_expr;
typedef struct gml_stmt gml_stmt;
typedef struct gml_kernel gml_kernel;

/* An iteration variable, 0 to extent - 1. */
typedef struct gml_axis {
    unsigned number; /* in the kernel, below GML_MAX_AXES; the bit in `free` */
    gml_dim extent;
} gml_axis;

typedef enum gml_mem_role {
    GML_MEM_INPUT,
    GML_MEM_OUTPUT,
    GML_MEM_LOCAL,
    GML_MEM_SUM, /* no memory: code generation sums what is stored there (codegen/columns.h) */
} gml_mem_role;

/* A dense row-major tensor that the kernel touches. */
typedef struct gml_mem {
    gml_mem_role role;
    unsigned number; /* among those of its role, in the order of the kernel's parameters */
    const char *name;
    gml_dtype dtype;
    int rank;
    const gml_dim *dims;
    uint64_t depends; /* of a local: the loops around its store that its contents depend on;
                         part of `free` of every load from it */
} gml_mem;

typedef enum gml_expr_kind {
    GML_EXPR_CONST,
    GML_EXPR_DIM,  /* a size, i64 */
    GML_EXPR_AXIS, /* an axis' value, i64 */
    GML_EXPR_LOAD, /* an element; 0 where its predicate is false */
    GML_EXPR_SCALAR,
    GML_EXPR_REDUCE, /* over all values of `axes`, in rising order, last axis fastest */
} gml_expr_kind;

typedef enum gml_cast_flag {
    GML_CAST_SATURATE =
        1u << 0,              /* to a float of 8 bits or fewer: clamp instead of inf or NaN */
    GML_CAST_UP = 1u << 1,    /* E8M0 rounds up */
    GML_CAST_DOWN = 1u << 2,  /* E8M0 rounds down */
    GML_CAST_CLAMP = 1u << 3, /* float to integer: clamp to the range (quantisation) */
} gml_cast_flag;

struct gml_expr {
    gml_expr_kind kind;
    gml_dtype dtype;
    bool affine; /* i64: a sum of axes times constants or sizes */
    uint32_t id; /* dense in the kernel; operands have smaller ones */
    uint64_t free;
    int64_t lo,
        hi; /* i64 and bool: bounds of its value; GML_DIM_LIMIT either way when unknown */
    union {
        struct {
            double f;  /* floats; exact for every float type */
            int64_t i; /* integers and bool; u64 by its bits */
        } cst;
        gml_dim dim;
        const gml_axis *axis;
        struct {
            const gml_mem *mem;
            const gml_expr *const *index; /* one i64 per dimension */
            const gml_expr *pred;         /* bool, or NULL: always */
        } load;
        struct {
            gml_scalar_op op;
            unsigned flags; /* of a cast */
            const gml_expr *args[3];
        } scalar;
        struct {
            gml_reduce_op op;
            unsigned n_axes;
            const gml_axis *const *axes;
            const gml_expr *body;
        } reduce;
    } as;
};

typedef enum gml_stmt_kind { GML_STMT_FOR, GML_STMT_STORE } gml_stmt_kind;

struct gml_stmt {
    gml_stmt_kind kind;
    gml_stmt *next;
    union {
        struct {
            const gml_axis *axis;
            gml_stmt *body;
        } loop;
        struct {
            const gml_mem *mem;
            const gml_expr *const *index;
            const gml_expr *value;
            const gml_expr *pred; /* bool, of axes alone: false where another iteration stores
                                     the element; or NULL: always. Units of codegen/blocks.h
                                     have it */
        } store;
    } as;
};

/* An element pulled once is not pulled again: two pulls would bind different axes in
 * reductions, and so be different expressions. */
struct gml_pulled {
    const void *value;
    const gml_expr *guard;
    const gml_expr *const *index;
    const gml_expr *expr;
};

struct gml_kernel {
    gml_arena *arena;
    gml_dim_pool *dims;
    const char *name;
    gml_vec(gml_mem *) inputs, outputs, locals;
    gml_vec(gml_axis *) axes;
    gml_vec(gml_expr *) exprs; /* by id */
    uint32_t *slots;           /* hash-consing: expression id + 1 */
    size_t n_slots;
    gml_stmt *body;
    unsigned
        n_shared;  /* of a kernel in stages: the loops, outermost first, in which there is one
                      statement a stage; a stage reads locals that those before it stored */
    bool in_parts; /* one launch does it for several lists of operands, each with sizes of its
                      own (ir/flatten.h); then `dims` are theirs alone */
    gml_vec(struct gml_pulled) pulled; /* what ir/lower.c has pulled already */
};

gml_kernel *gml_kernel_create(gml_arena *arena, gml_dim_pool *dims, const char *name);
gml_mem *gml_kernel_add_mem(gml_kernel *kernel, gml_mem_role role, const char *name,
                            gml_dtype dtype, int rank, const gml_dim *dims);
gml_axis *gml_kernel_add_axis(gml_kernel *kernel, gml_dim extent);
/* True when there is room for `n` more axes. */
bool gml_kernel_has_axes(const gml_kernel *kernel, unsigned n);

gml_stmt *gml_stmt_for(gml_kernel *kernel, const gml_axis *axis, gml_stmt *body);
gml_stmt *gml_stmt_store(gml_kernel *kernel, const gml_mem *mem, const gml_expr *const *index,
                         const gml_expr *value);
/* Appends `stmt` to the list that starts at `*list`. */
void gml_stmt_append(gml_stmt **list, gml_stmt *stmt);

/* Expressions. Constants are folded and identities applied on the way (x+0, x*1, select on a
 * constant, i64 arithmetic on sizes); results are what the unsimplified form would give, bit
 * for bit. */
const gml_expr *gml_expr_int(gml_kernel *kernel, gml_dtype dtype, int64_t value);
const gml_expr *gml_expr_float(gml_kernel *kernel, gml_dtype dtype, double value);
const gml_expr *gml_expr_dim(gml_kernel *kernel, gml_dim dim); /* i64 */
const gml_expr *gml_expr_axis(gml_kernel *kernel, const gml_axis *axis);
const gml_expr *gml_expr_load(gml_kernel *kernel, const gml_mem *mem,
                              const gml_expr *const *index, const gml_expr *pred);
const gml_expr *gml_expr_scalar(gml_kernel *kernel, gml_scalar_op op, gml_dtype dtype,
                                unsigned flags, const gml_expr *const *args);
const gml_expr *gml_expr_reduce(gml_kernel *kernel, gml_reduce_op op,
                                const gml_axis *const *axes, unsigned n_axes,
                                const gml_expr *body);
/* `expr` with every free occurrence of `axes[i]` replaced by `values[i]`. */
const gml_expr *gml_expr_substitute(gml_kernel *kernel, const gml_expr *expr,
                                    const gml_axis *const *axes, const gml_expr *const *values,
                                    unsigned count);
/* `expr` with every occurrence of `old` replaced by `replacement`. */
const gml_expr *gml_expr_replace(gml_kernel *kernel, const gml_expr *expr, const gml_expr *old,
                                 const gml_expr *replacement);
static inline bool gml_expr_is_int(const gml_expr *expr, int64_t value)
{
    return expr->kind == GML_EXPR_CONST &&
           gml_dtype_get_class(expr->dtype) != GML_CLASS_FLOAT && expr->as.cst.i == value;
}

/* Hoists: rewrites the body so that a reduction is computed once per value of the axes that it
 * depends on (into a local), and a reduction inside another's body is computed once into a
 * local array. Needed before schedules; the interpreter accepts either form. */
void gml_kernel_place(gml_kernel *kernel);

/* What one run must do at least: `flops` counts every scalar operator on floats but selections
 * and every step of a reduction as one (a multiply-add as two), `bytes` every input and output
 * once. */
void gml_kernel_cost(const gml_kernel *kernel, gml_dim *out_flops, gml_dim *out_bytes);
/* Those `flops` of a list of statements, stores that are sums left out, and of one evaluation
 * of an expression. */
gml_dim gml_list_flops(const gml_kernel *kernel, const gml_stmt *list);
gml_dim gml_expr_flops(const gml_kernel *kernel, const gml_expr *expr);

/* For each output the inputs, of the first 64 as bits, that it may be computed over: they have
 * its type and shape, and an element of them is read nowhere but where that very element of the
 * output is stored, or in stores before it of the same loop. `out_over` has room for every
 * output. */
void gml_kernel_over(const gml_kernel *kernel, uint64_t *out_over);

void gml_kernel_print(const gml_kernel *kernel, gml_str *out);
void gml_expr_print(const gml_kernel *kernel, const gml_expr *expr, gml_str *out);

#endif

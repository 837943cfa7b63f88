/* tests/unit/host_call.h - calling one host operator by itself.
 *
 *     host_test t = {0};
 *     host_begin(&t, 2);
 *     host_input(&t, GML_F32, 2, (int64_t[]){2, 3}, values);
 *     host_set_int(&t, "axis", -1);
 *     assert_int_equal(host_run(&t, gml_host_topk), GML_OK);
 *     host_fails_cleanly(&t, gml_host_topk);
 *     host_end(&t);
 */
#ifndef GML_TESTS_UNIT_HOST_CALL_H
#define GML_TESTS_UNIT_HOST_CALL_H

#include "runtime/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef struct host_test {
    gml_host_call call;
    gml_attr attrs[24];
    gml_rvalue inputs[8];
    gml_rvalue outputs[4];
    gml_dtype dtypes[4];
} host_test;

static inline void host_begin(host_test *t, size_t n_outputs)
{
    *t = (host_test){0};
    t->call = (gml_host_call){.node = "node",
                              .op = "op",
                              .attrs = t->attrs,
                              .inputs = t->inputs,
                              .outputs = t->outputs,
                              .n_outputs = n_outputs,
                              .output_dtypes = t->dtypes};
}

static inline gml_rvalue *host_input(host_test *t, gml_dtype dtype, int rank,
                                     const int64_t *dims, const void *data)
{
    gml_rvalue *value = &t->inputs[t->call.n_inputs++];
    size_t bytes = 0;
    assert_int_equal(gml_rvalue_alloc(value, dtype, rank, dims), GML_OK);
    assert_true(gml_tensor_bytes(&value->tensor, &bytes));
    if (data && bytes > 0)
        memcpy(value->tensor.data, data, bytes);
    return value;
}

static inline void host_strings(host_test *t, int rank, const int64_t *dims,
                                const char *const *texts)
{
    gml_string strings[32];
    gml_tensor shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dims[i] = dims[i];
    int64_t count = gml_tensor_numel(&shape);
    assert_true(count <= 32);
    for (int64_t i = 0; i < count; i++)
        strings[i] = (gml_string){texts[i], strlen(texts[i])};
    gml_rvalue *value = &t->inputs[t->call.n_inputs++];
    assert_int_equal(gml_rvalue_strings(value, rank, dims, strings), GML_OK);
}

/* An absent operand. */
static inline void host_skip(host_test *t)
{
    t->call.n_inputs++;
}

static inline gml_attr *host_attr(host_test *t, const char *name, gml_attr_kind kind,
                                  size_t count)
{
    gml_attr *attr = &t->attrs[t->call.n_attrs++];
    *attr = (gml_attr){.name = name, .kind = kind, .count = count};
    return attr;
}

static inline void host_set_int(host_test *t, const char *name, int64_t value)
{
    host_attr(t, name, GML_ATTR_INT, 1)->as.i = value;
}

static inline void host_set_string(host_test *t, const char *name, const char *text)
{
    host_attr(t, name, GML_ATTR_STRING, 1)->as.s = (gml_string){text, strlen(text)};
}

static inline void host_set_ints(host_test *t, const char *name, size_t count,
                                 const int64_t *values)
{
    host_attr(t, name, GML_ATTR_INTS, count)->as.ints = values;
}

static inline void host_set_floats(host_test *t, const char *name, size_t count,
                                   const float *values)
{
    host_attr(t, name, GML_ATTR_FLOATS, count)->as.floats = values;
}

static inline void host_set_strings(host_test *t, const char *name, size_t count,
                                    const gml_string *values)
{
    host_attr(t, name, GML_ATTR_STRINGS, count)->as.strings = values;
}

static inline void host_set_tensor(host_test *t, const char *name, const gml_tensor *tensor)
{
    host_attr(t, name, GML_ATTR_TENSOR, 1)->as.t = tensor;
}

static inline void host_drop_outputs(host_test *t)
{
    for (size_t i = 0; i < 4; i++)
        gml_rvalue_reset(&t->outputs[i]);
}

static inline gml_status host_run(host_test *t, gml_host_fn function)
{
    host_drop_outputs(t);
    t->call.error[0] = '\0';
    gml_status status = function(&t->call);
    if (status != GML_OK)
        assert_string_not_equal(t->call.error, "");
    return status;
}

/* Every allocation fails once; each time the operator says so, and leaks nothing (LeakSanitizer
 * sees to that). */
static inline void host_fails_cleanly(host_test *t, gml_host_fn function)
{
    for (unsigned n = 1;; n++) {
        assert_true(n < 1000);
        host_drop_outputs(t);
        gml_buffer_fail_at(n);
        gml_status status = function(&t->call);
        gml_buffer_fail_at(0);
        if (status == GML_OK)
            break;
        assert_int_equal(status, GML_E_MEMORY);
    }
}

static inline void host_end(host_test *t)
{
    host_drop_outputs(t);
    for (size_t i = 0; i < 8; i++)
        gml_rvalue_reset(&t->inputs[i]);
}

/* Result `k` has these dimensions. */
static inline void assert_shape(const host_test *t, size_t k, int rank, const int64_t *dims)
{
    assert_int_equal(t->outputs[k].kind, GML_RVALUE_TENSOR);
    assert_int_equal(t->outputs[k].tensor.rank, rank);
    for (int i = 0; i < rank; i++)
        assert_int_equal(t->outputs[k].tensor.dims[i], dims[i]);
}

static inline void assert_ints(const host_test *t, size_t k, size_t count,
                               const int64_t *expected)
{
    assert_int_equal(gml_tensor_numel(&t->outputs[k].tensor), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(gml_host_get_int(&t->outputs[k].tensor, (int64_t)i), expected[i]);
}

static inline void assert_text(gml_string text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    if (text.len > 0)
        assert_memory_equal(text.data, expected, text.len);
}

static inline void assert_texts(const host_test *t, size_t k, size_t count,
                                const char *const *expected)
{
    assert_int_equal(t->outputs[k].tensor.dtype, GML_STRING);
    assert_int_equal(gml_tensor_numel(&t->outputs[k].tensor), count);
    for (size_t i = 0; i < count; i++)
        assert_text(((const gml_string *)t->outputs[k].tensor.data)[i], expected[i]);
}

#endif

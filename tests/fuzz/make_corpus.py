#!/usr/bin/env python3
"""Writes the seeds of fuzz_import and fuzz_wire: small models that between them use every message.

Run with onnx 1.22 from the repository root; the output is checked in."""

import pathlib

import numpy
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

HERE = pathlib.Path(__file__).parent


def value(name, shape=(2, 3), dtype=T.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, opset=17, functions=(), **graph):
    body = helper.make_graph(nodes, "g", inputs, outputs, **graph)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    made = helper.make_model(body, opset_imports=opsets, functions=list(functions))
    made.ir_version = 10
    return made


def branch(name, op):
    return helper.make_graph([helper.make_node(op, ["x"], [name])], name, [], [value(name)])


def models():
    node = helper.make_node
    w = numpy_helper.from_array(numpy.arange(6, dtype=numpy.float32).reshape(2, 3), "w")
    yield "add", model([node("Add", ["x", "w"], ["y"])], [value("x", ("n", 3))], [value("y")],
                       initializer=[w])
    yield "if", model([node("If", ["c"], ["y"], then_branch=branch("t", "Neg"),
                            else_branch=branch("e", "Abs"))],
                      [value("c", (), T.BOOL), value("x")], [value("y")])
    body = helper.make_graph(
        [node("Identity", ["c"], ["d"]), node("Add", ["a", "a"], ["b"])], "body",
        [value("i", (), T.INT64), value("c", (), T.BOOL), value("a")],
        [value("d", (), T.BOOL), value("b"), value("b")])
    yield "loop", model([node("Loop", ["m", "c", "x"], ["y", "z"], body=body)],
                        [value("m", (), T.INT64), value("c", (), T.BOOL), value("x")],
                        [value("y"), value("z", None)])
    elu = node("Elu", ["s"], ["r"])
    elu.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="a",
                                             type=onnx.AttributeProto.FLOAT))
    twice = helper.make_function("local", "twice", ["p", "q"], ["r"],
                                 [node("Add", ["p", "p"], ["s"]), elu],
                                 [helper.make_opsetid("", 17)], ["a"])
    yield "function", model([node("twice", ["x"], ["t"], domain="local", a=0.5),
                             node("twice", ["t", "x"], ["y"], domain="local")],
                            [value("x")], [value("y")], functions=[twice])
    old = [node("Add", ["x", "c"], ["a"], axis=1, broadcast=1),
           node("Softmax", ["a"], ["b"], axis=1),
           node("Upsample", ["b"], ["d"], scales=[1.0, 1.0, 2.0, 2.0]),
           node("Pad", ["d"], ["e"], pads=[0, 0, 1, 1, 0, 0, 1, 1], value=1.0),
           node("Clip", ["e"], ["f"], min=0.0, max=6.0),
           node("Slice", ["f"], ["h"], starts=[1], ends=[3], axes=[2]),
           node("ReduceMean", ["h"], ["y"], axes=[2, 3], keepdims=0)]
    yield "old", model(old, [value("x", (2, 6, 4, 5)), value("c", (6,))], [value("y", (2, 6))],
                       opset=6)
    tensors = [helper.make_tensor(f"t{t}", t, [3], [1, 0, 1])
               for t in (T.INT8, T.FLOAT16, T.BFLOAT16, T.UINT32, T.INT64, T.DOUBLE, T.INT4,
                         T.UINT2, T.FLOAT8E4M3FN, T.COMPLEX64, T.BOOL)]
    tensors.append(helper.make_tensor("s", T.STRING, [2], [b"ab", b""]))
    sparse = helper.make_sparse_tensor(helper.make_tensor("q", T.FLOAT, [2], [1.0, 2.0]),
                                       helper.make_tensor("qi", T.INT64, [2], [1, 4]), [2, 3])
    yield "constants", model([node("Constant", [], ["k"], value_ints=[1, 2]),
                              node("Constant", [], ["l"], value_strings=["a", "b"]),
                              node("Constant", [], ["y"], value=w)],
                             [], [value("y")], initializer=tensors, sparse_initializer=[sparse])
    of = helper.make_tensor_type_proto(T.FLOAT, [2, 3])
    sequence = helper.make_sequence_type_proto(of)
    yield "sequence", model([node("SequenceConstruct", ["x", "x"], ["q"]),
                             node("Optional", ["q"], ["y"])],
                            [value("x")],
                            [helper.make_value_info("y", helper.make_optional_type_proto(sequence))])
    outside = model([node("Neg", ["w"], ["y"])], [], [value("y")], initializer=[w])
    tensor = outside.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "w.bin", offset=8, length=24)
    tensor.ClearField("raw_data")
    yield "external", outside


def main():
    for folder in ("import", "wire"):
        (HERE / folder).mkdir(exist_ok=True)
    for name, made in models():
        data = made.SerializeToString()
        (HERE / "import" / f"{name}.onnx").write_bytes(data)
        (HERE / "wire" / f"{name}.pb").write_bytes(b"\x00" + data)
    array = numpy.arange(3, dtype=numpy.int16)
    (HERE / "wire" / "tensor.pb").write_bytes(
        b"\x05" + numpy_helper.from_array(array, "t").SerializeToString())
    (HERE / "wire" / "list.pb").write_bytes(
        b"\x05" + numpy_helper.from_list([array, array], "l").SerializeToString())
    (HERE / "wire" / "optional.pb").write_bytes(
        b"\x05" + numpy_helper.from_optional(array, "o").SerializeToString())


if __name__ == "__main__":
    main()

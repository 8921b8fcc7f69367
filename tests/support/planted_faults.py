"""Faults planted into a .tflite file with the schema's own objects."""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from varhandle.tflite.flatbuffer import callees, has_data, op_name, pack, unpack


def operators_of(content, op):
    """Return the numbers of the operators of the main subgraph that are of an op."""
    model = unpack(content)
    return [n for n, one in enumerate(model.subgraphs[0].operators) if op_name(model, one) == op]


def edited(content, op, change):
    """Return a file whose only operator of an op was changed: ``change(model, operator)``."""
    model = unpack(content)
    (operator,) = [o for o in model.subgraphs[0].operators if op_name(model, o) == op]
    change(model, operator)
    return pack(model)


def with_options(**values):
    """Return what ``edited`` takes to give an operator other options."""

    def change(_, operator):
        operator.builtinOptions = copy.copy(operator.builtinOptions)
        vars(operator.builtinOptions).update(values)

    return change


def with_changed_weight(content, number, place=0):
    """Return a file in which one float of an operator's weights is another."""
    model = unpack(content)
    subgraph = model.subgraphs[0]
    return pack(_with_other_weights(model, subgraph, subgraph.operators[number], place))


def _with_other_weights(model, subgraph, operator, place, dtype=np.float32):
    tensor = copy.copy(subgraph.tensors[operator.inputs[1]])
    weights = np.array(model.buffers[tensor.buffer].data, np.uint8).view(dtype).copy()
    weights[place] = weights[place] * 3 + 1
    buffer = copy.copy(model.buffers[tensor.buffer])
    buffer.data = weights.view(np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    subgraph.tensors.append(tensor)
    operator.inputs = [operator.inputs[0], len(subgraph.tensors) - 1, *operator.inputs[2:]]
    return model


def with_renamed_output(content, number):
    """Return a file in which what an operator gives has a name that nobody knows."""
    model = unpack(content)
    subgraph = model.subgraphs[0]
    subgraph.tensors[subgraph.operators[number].outputs[0]].name = "unknown"
    return pack(model)


def without_bias(content, number):
    """Return a file in which an operator adds no bias."""
    model = unpack(content)
    operator = model.subgraphs[0].operators[number]
    operator.inputs = [*operator.inputs[:2], -1]
    return pack(model)


def without_operators(content, op):
    """Return a file whose main subgraph has no operators of an op."""
    model = unpack(content)
    subgraph = model.subgraphs[0]
    subgraph.operators = [one for one in subgraph.operators if op_name(model, one) != op]
    return pack(model)


BODY = ("WHILE", 1)
"""A step into a subgraph: the first operator of an op, and which of its subgraphs."""


def subgraph_at(model, *path):
    """Return a subgraph that is reached from the main one by some steps."""
    subgraph = model.subgraphs[0]
    for op, place in path:
        caller = next(one for one in subgraph.operators if op_name(model, one) == op)
        subgraph = model.subgraphs[callees(caller)[place]]
    return subgraph


def with_changed_inside(content, op, *path, place=0, dtype=np.float32):
    """Return a file in which the weights of the first operator of an op in a subgraph differ."""
    model = unpack(content)
    subgraph = subgraph_at(model, *path)
    operators = [one for one in subgraph.operators if op_name(model, one) == op]
    operator = next(one for one in operators if _holds(model, subgraph, one.inputs[1], dtype))
    return pack(_with_other_weights(model, subgraph, operator, place, dtype))


def _holds(model, subgraph, tensor, dtype):
    types = {np.float32: schema.TensorType.FLOAT32, np.int32: schema.TensorType.INT32}
    held = subgraph.tensors[tensor]
    return held.type == types[dtype] and has_data(model.buffers[held.buffer])


def with_rewired_loop(content, op, source):
    """Return a file in whose loop's body an operator takes what another one gives."""
    model = unpack(content)
    named = {op_name(model, one): one for one in subgraph_at(model, BODY).operators}
    named[op].inputs = list(named[source].outputs)
    return pack(model)


def with_outputs_of_loop(content, change):
    """Return a file whose loop's body gives other tensors: ``change(inputs, outputs)``."""
    model = unpack(content)
    body = subgraph_at(model, BODY)
    body.outputs = change(list(body.inputs), list(body.outputs))
    return pack(model)


def with_moved_assignment(content, *path, to):
    """Return a file in which the only assignment in a subgraph comes at another place, or none."""
    model = unpack(content)
    operators = subgraph_at(model, *path).operators
    names = [op_name(model, one) for one in operators]
    assignment = operators.pop(names.index("ASSIGN_VARIABLE"))
    if to is not None:
        operators.insert(to % (len(operators) + 1), assignment)
    return pack(model)


def with_late_operator(content, op):
    """Return a file in which the only operator of an op comes last."""
    model = unpack(content)
    subgraph = model.subgraphs[0]
    subgraph.operators = sorted(subgraph.operators, key=lambda one: op_name(model, one) == op)
    return pack(model)


def with_doubled_operator(content, op, before):
    """Return a file that runs its only operator of an op once more, before that of another.

    By then nobody takes what it gives, so that its memory may be another tensor's.
    """
    model = unpack(content)
    operators = model.subgraphs[0].operators
    names = [op_name(model, one) for one in operators]
    operators.insert(names.index(before), operators[names.index(op)])
    return pack(model)


def with_other_first_value(content):
    """Return a file that begins with another value of its first variable."""
    model = unpack(content)
    once = next(one for one in model.subgraphs[0].operators if op_name(model, one) == "CALL_ONCE")
    subgraph = model.subgraphs[once.builtinOptions.initSubgraphIndex]
    assign = next(one for one in subgraph.operators if op_name(model, one) == "ASSIGN_VARIABLE")
    return pack(_with_other_weights(model, subgraph, assign, 0))

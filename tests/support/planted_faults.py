"""Faults planted into a .tflite file with the schema's own objects."""

import copy

import numpy as np

from varhandle.tflite.flatbuffer import op_name, pack, unpack


def operators_of(content, op):
    """Return the numbers of the operators of the main subgraph that are of an op."""
    model = unpack(content)
    return [n for n, one in enumerate(model.subgraphs[0].operators) if op_name(model, one) == op]


def with_changed_weight(content, number, place=0):
    """Return a file in which one float of an operator's weights is another."""
    model = unpack(content)
    subgraph = model.subgraphs[0]
    return pack(_with_other_weights(model, subgraph, subgraph.operators[number], place))


def _with_other_weights(model, subgraph, operator, place):
    tensor = copy.copy(subgraph.tensors[operator.inputs[1]])
    weights = np.array(model.buffers[tensor.buffer].data, np.uint8).view(np.float32).copy()
    weights[place] = weights[place] * 3 + 1
    buffer = copy.copy(model.buffers[tensor.buffer])
    buffer.data = weights.view(np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1
    subgraph.tensors.append(tensor)
    operator.inputs = [operator.inputs[0], len(subgraph.tensors) - 1, *operator.inputs[2:]]
    return model


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


def with_changed_loop(content, op, place=0):
    """Return a file in whose loop's body the weights of the first operator of an op differ."""
    model = unpack(content)
    loop = next(one for one in model.subgraphs[0].operators if op_name(model, one) == "WHILE")
    body = model.subgraphs[loop.builtinOptions.bodySubgraphIndex]
    operator = next(one for one in body.operators if op_name(model, one) == op)
    return pack(_with_other_weights(model, body, operator, place))


def with_rewired_loop(content, op, source):
    """Return a file in whose loop's body an operator takes what another one gives."""
    model = unpack(content)
    loop = next(one for one in model.subgraphs[0].operators if op_name(model, one) == "WHILE")
    body = model.subgraphs[loop.builtinOptions.bodySubgraphIndex]
    named = {op_name(model, one): one for one in body.operators}
    named[op].inputs = list(named[source].outputs)
    return pack(model)


def with_late_operator(content, op):
    """Return a file in which the only operator of an op comes last."""
    model = unpack(content)
    subgraph = model.subgraphs[0]
    subgraph.operators = sorted(subgraph.operators, key=lambda one: op_name(model, one) == op)
    return pack(model)


def with_other_first_value(content):
    """Return a file that begins with another value of its first variable."""
    model = unpack(content)
    once = next(one for one in model.subgraphs[0].operators if op_name(model, one) == "CALL_ONCE")
    subgraph = model.subgraphs[once.builtinOptions.initSubgraphIndex]
    assign = next(one for one in subgraph.operators if op_name(model, one) == "ASSIGN_VARIABLE")
    return pack(_with_other_weights(model, subgraph, assign, 0))

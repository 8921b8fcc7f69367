"""How much memory a .tflite file takes: itself, its tensors, and the process that runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from varhandle.display import RichTable, Table
from varhandle.evaluate.session import Inputs, Model, Session, model_bytes
from varhandle.graph import ModelFileError
from varhandle.sandbox import run_isolated


@dataclass(frozen=True, repr=False)
class Memory(RichTable):
    """What a model takes, in bytes.

    A process's memory is what is resident, in whole pages of 4 KiB, beyond what a fresh process
    takes that holds the bytes of the file.
    """

    file: int
    weights: int  # the constants in the file
    activations: int  # all computed tensors, as if the interpreter reused no place
    opened: int  # of the process, once it has opened the file and planned its tensors
    ran: int  # of the process, after the first call

    def __repr__(self) -> str:
        return (
            f"Memory(file {self.file / 1024:,.0f} KiB, weights {self.weights / 1024:,.0f} KiB, "
            f"process {self.ran / 1024:,.0f} KiB more)"
        )

    def _table(self) -> Table:
        sizes = (
            ("the file", self.file),
            ("weights in it", self.weights),
            ("computed tensors, none reused", self.activations),
            ("the process, after opening it", self.opened),
            ("the process, after the first call", self.ran),
        )
        rows = [(what, f"{size / 1024:,.0f}") for what, size in sizes]
        return ("", "KiB"), rows, "Memory that the model takes"


def measure_memory(
    model: Model, inputs: Inputs = None, *, signature: str | None = None, timeout: float = 60.0
) -> Memory:
    """Measure what a model takes, over one call, in a fresh process without TensorFlow.

    Arguments and errors are those of :class:`~varhandle.evaluate.session.Session`. ``RuntimeError``
    if the process did not come to its end; the message says how it ended.
    """
    content, source = model_bytes(model)
    record = run_isolated(_measured, content, inputs, signature, timeout=timeout, tensorflow=False)
    if told := record.said_by(ModelFileError):
        raise ModelFileError(source, told.removeprefix("<bytes>: "))
    if not record.ok:
        raise RuntimeError(f"the model could not be measured: {record.message}")
    measured: Memory = record.value
    return measured


def _measured(content: bytes, inputs: Inputs, signature: str | None) -> Memory:
    import psutil

    from varhandle.tflite.flatbuffer import has_data, subgraph_of, unpack

    resident = psutil.Process().memory_info
    before = resident().rss
    session = Session(content, signature=signature)
    opened = resident().rss - before
    session(inputs)
    ran = resident().rss - before
    # Plain kernels make the call that is looked into: a delegate leaves the tensors that it keeps
    # to itself in the shapes that the file declares.
    plain = Session(content, signature=signature, delegates=False)
    plain(inputs)
    model = unpack(content)
    number = subgraph_of(model, plain.signature)
    computed = [
        not has_data(model.buffers[tensor.buffer]) for tensor in model.subgraphs[number].tensors
    ]
    activations = sum(
        math.prod(one["shape"].tolist()) * np.dtype(one["dtype"]).itemsize  # 0 for strings
        for one in plain.interpreter.get_tensor_details(number)
        if one["index"] < len(computed) and computed[one["index"]]
    )
    weights = sum(len(buffer.data) for buffer in model.buffers if has_data(buffer))
    return Memory(len(content), weights, activations, max(opened, 0), max(ran, 0))

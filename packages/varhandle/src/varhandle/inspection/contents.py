"""The contents of a model: what ``inspect`` shows of it, for people and for programs."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from varhandle.display import Rich
from varhandle.formats import read_graph
from varhandle.graph import Graph, TensorSpec
from varhandle.inspection.histogram import OpHistogram, op_histogram
from varhandle.inspection.variables import VariableTable, variable_table


@dataclass(frozen=True, repr=False)
class ModelContents(Rich):
    """The variables, the signatures and the ops of a model."""

    graph: Graph
    variables: VariableTable
    ops: OpHistogram

    def __repr__(self) -> str:
        return f"ModelContents({self.graph!r})"

    def text(self) -> str:
        """Return what the model is, and both tables."""
        return "\n\n".join([repr(self.graph), self.variables.text(), self.ops.text()])

    def html(self) -> str:
        """Return the same in HTML."""
        tables = self.variables.html() + self.ops.html()
        return f"<p>{html.escape(repr(self.graph))}</p>{tables}"

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, fit for JSON; no values of weights."""
        graph = self.graph
        return {
            "model": graph.source,
            "format": graph.format,
            "producer": graph.producer,
            "signatures": [
                {"name": one.name, "inputs": _specs(one.inputs), "outputs": _specs(one.outputs)}
                for one in graph.signatures
            ],
            "variables": [variable.as_dict() for variable in graph.variables],
            "ops": [
                {"op": row.op, "role": row.role or None, "count": row.counts[0]}
                for row in self.ops.rows
            ],
            "embedded_code": list(graph.embedded_code),
            "custom_objects": [str(one) for one in graph.custom_objects],
        }


def _specs(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [
        {
            "name": spec.name,
            "dtype": spec.dtype,
            "shape": None if spec.shape is None else list(spec.shape),
        }
        for spec in specs
    ]


def inspect_model(source: str | os.PathLike[str]) -> ModelContents:
    """Read a model, and list its variables and its ops; nothing of it runs.

    Raises ``ModelFileError`` where there is no model, or none that can be read.
    """
    return contents_of(read_graph(source))


def contents_of(graph: Graph) -> ModelContents:
    """List the variables and the ops of a model that was read."""
    return ModelContents(graph, variable_table(graph), op_histogram(graph))

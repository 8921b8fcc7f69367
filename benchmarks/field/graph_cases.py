"""Graphs of TensorFlow 1: frozen, with a checkpoint, with reference variables, as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.field.case import (
    CALLS,
    GOOD,
    SHUT,
    Case,
    Made,
    Rng,
    Truth,
    add,
    blocked,
    normal,
    told,
)

v1 = tf.compat.v1
Draw = Callable[[], tuple[dict[str, Any], dict[str, Any]]]
"""Draws a graph; returns its inputs and its outputs, by the names that a signature gives them."""


def keep(session: Any, folder: Path, how: str, inputs: Any, outputs: Any) -> Path:
    """Keep a graph in one of the ways of TensorFlow 1."""
    graph = session.graph.as_graph_def()
    if how == "saved":
        start = v1.tables_initializer()
        v1.saved_model.simple_save(session, str(folder / "model"), inputs, outputs, start)
        return folder / "model"
    if how in ("frozen", "text"):
        names = [tensor.op.name for tensor in outputs.values()]
        graph = v1.graph_util.convert_variables_to_constants(session, graph, names)
    name = "graph.pbtxt" if how == "text" else "graph.pb"
    held = folder / "checkpoints" if how in ("folder", "meta") else folder
    if how in ("folder", "meta", "checkpoint"):
        held.mkdir(exist_ok=True)
        v1.train.Saver().save(session, str(held / "model.ckpt"))
    v1.train.write_graph(graph, str(folder), name, as_text=how == "text")
    return {"meta": held / "model.ckpt.meta", "folder": held}.get(how, folder / name)


def graph_case(
    name: str, draw: Draw, how: str, truth: Truth = GOOD, *, references: bool = False,
    hand: str = "", calls: Callable[[Rng], Sequence[dict[str, Any]]] | None = None,
    kind: str = "TensorFlow 1",
) -> None:  # fmt: skip
    """Add a graph; ``hand`` is how it is converted by hand."""

    def make(folder: Path, rng: Rng) -> Made:
        old = (v1.disable_resource_variables, v1.disable_control_flow_v2)
        new = (v1.enable_resource_variables, v1.enable_control_flow_v2)
        for switch in old if references else new:
            switch()
        try:
            with tf.Graph().as_default(), v1.Session() as session:
                v1.set_random_seed(5)
                inputs, outputs = draw()
                session.run([v1.global_variables_initializer(), v1.tables_initializer()])
                made = Made(keep(session, folder, how, inputs, outputs))
                noise = [
                    {"x": normal(rng, *inputs["x"].shape)} for _ in range(CALLS if not calls else 0)
                ]
                for call in calls(rng) if calls else noise:
                    fed = {inputs[key]: array for key, array in call.items()}
                    made.answers = [*made.answers, session.run(outputs, fed)]
                    made.calls = [*made.calls, ("serving_default" if how == "saved" else "", call)]
                if hand:
                    ends = [[t.op.name for t in side.values()] for side in (inputs, outputs)]
                    made.hand = {"way": hand, "inputs": ends[0], "outputs": ends[1]}
        finally:
            for switch in new:
                switch()
        return made

    add(Case(f"tf1-{name}", kind, make, truth))


def net(training: bool = False) -> Draw:
    """Draw a small net, with statistics as they were kept."""

    def draw() -> Any:
        x = v1.placeholder(tf.float32, [1, 6], "x")
        y = tf.nn.relu(x @ v1.get_variable("w", [6, 4]))
        mean = v1.get_variable("moving_mean", [4], initializer=v1.ones_initializer())
        if training:
            on = v1.placeholder_with_default(False, [], "is_training")
            mean = v1.cond(on, lambda: tf.reduce_mean(y, 0), lambda: tf.identity(mean))
        return {"x": x}, {"y": tf.identity((y - mean) * 0.5, "y")}

    return draw


def counter() -> Any:
    """Draw a counter, whose variable has the name of something else."""
    x = v1.placeholder(tf.float32, [1, 4], "x")
    total = v1.get_variable("bn/moving_mean", [1, 4], initializer=v1.zeros_initializer())
    return {"x": x}, {"y": tf.identity(v1.assign_add(total, x), "y")}


def looked_up() -> Any:
    """Draw a table."""
    x = v1.placeholder(tf.string, [2], "x")
    start = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([4, 7], tf.int64))
    return {"x": x}, {"y": tf.identity(tf.lookup.StaticHashTable(start, -1).lookup(x), "y")}


# fmt: off
graph_case("frozen", net(), "frozen", hand="graph")
graph_case("frozen-switch", net(training=True), "frozen", SHUT, references=True, hand="graph")
graph_case("unfrozen", net(), "alone", blocked("checkpoint|freeze|frozen|value"), references=True)
graph_case("beside-checkpoint", net(), "checkpoint", told("checkpoint"), references=True)
graph_case("checkpoint-folder", net(), "folder", told("checkpoint", cure="0 1 2"))
graph_case("meta-graph", net(), "meta", told(r"MetaGraph|meta graph|\.meta", cure="0 1 2"))
graph_case("text", net(), "text", told("text", cure="0 2"))
graph_case("saved", net(), "saved", references=True, hand="v1")
graph_case("saved-counter", counter, "saved", hand="saved")
graph_case("saved-counter-references", counter, "saved", Truth(
    "blocked", "0 1", ("resource.variables|reference", "enable_resource_variables"),
    ("BatchNorm",)), references=True)
graph_case("saved-table", looked_up, "saved", hand="saved", calls=lambda _: [
    {"x": np.array(pair, object)} for pair in ([b"a", b"z"], [b"b", b"a"])])
# fmt: on

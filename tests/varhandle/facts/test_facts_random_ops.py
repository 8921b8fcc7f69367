"""Which ops draw: held to TensorFlow's registry, and to what the converter does with each."""

import pytest
import zoo

from varhandle.conversion.converter import convert
from varhandle.facts.random_ops import (
    BUILTIN_DRAWS,
    TFLITE_DRAWS,
    drawn_from,
    is_draw,
    is_generator,
)
from varhandle.formats import read_graph


@pytest.fixture(scope="module")
def registry(tf):
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    return op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList())).op


def takes_a_seed(op):
    names = {a.name for a in (*op.attr, *op.input_arg)}
    generator = "resource" in names and op.name.startswith(("Rng", "Stateful"))
    return bool(names & {"seed", "seed2", "key"}) or generator


def is_of_datasets(op):
    return any(word in op.name for word in ("Dataset", "SeedGenerator", "Queue"))


def test_the_draws_are_those_ops_of_the_registry_that_take_a_seed(registry):
    seeded = {op.name for op in registry if takes_a_seed(op) and not is_of_datasets(op)}
    told = {op.name for op in registry if is_draw(op.name) or is_generator(op.name)}
    assert told > BUILTIN_DRAWS
    assert {name for name in seeded - told if "andom" in name or "tate" in name} == set()
    assert {name for name in told - seeded if "Get" not in name and "NonDet" not in name} == set()


def test_the_distribution_of_a_draw():
    for op, what in (
        ("StatelessRandomNormalV2", "Normal"),
        ("RandomStandardNormal", "Normal"),
        ("StatefulUniformInt", "UniformInt"),
        ("TruncatedNormal", "TruncatedNormal"),
        ("StatelessSampleDistortedBoundingBox", ""),
        ("MatMul", ""),
    ):
        assert drawn_from(op) == what


def test_what_is_called_builtin_converts_and_draws(tf, tmp_path):
    def step(_, x):
        raw = tf.raw_ops
        seeds = {"seed": 0, "seed2": 0}
        a = raw.RandomUniform(shape=[4], dtype=tf.float32, **seeds)
        b = raw.RandomStandardNormal(shape=[4], dtype=tf.float32, **seeds)
        c = raw.Multinomial(logits=x[None], num_samples=4, output_dtype=tf.int64, **seeds)
        return {"y": a + b + tf.cast(c[0], tf.float32)}

    path = zoo.save_step(tf, tmp_path, {}, step)
    assert {node.op for node in read_graph(path).nodes} >= BUILTIN_DRAWS
    made = read_graph(convert(path).content)
    assert {node.op for node in made.nodes} >= TFLITE_DRAWS

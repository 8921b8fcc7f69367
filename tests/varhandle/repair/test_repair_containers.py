"""A model is cured out of whatever it is packed in, and the printed plan does the same by hand."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import zoo
from family_checks import run

from varhandle.evaluate.session import Session
from varhandle.repair.run import NoCureError, cure
from varhandle.repair.steps import STEPS
from varhandle.tflite.flatbuffer import pack, unpack


@pytest.fixture(scope="module")
def session_graph(tf, tmp_path_factory):
    """What a TF1 Saver writes, twice; the second is the one that counts: y = x w + [2, 0]."""
    v1, folder = tf.compat.v1, tmp_path_factory.mktemp("session")
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [1, 3], name="x")
        w = v1.get_variable("w", [3, 2], initializer=v1.ones_initializer(), use_resource=False)
        b = v1.get_variable("b", [2], use_resource=True)
        tf.identity(x @ w + b, name="y")
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver()
        for step in (1, 2):
            session.run(b.assign([float(step), 0.0]))
            saver.save(session, str(folder / "model.ckpt"), global_step=step)
        tf.io.write_graph(graph, str(folder), "graph.pbtxt")
    return folder


def test_a_checkpoint_with_its_graph(session_graph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = cure(session_graph)
    assert made.plan.id == "freeze"
    (answer,) = Session(made.content)(np.ones([1, 3], "float32")).values()
    assert answer.tolist() == [[5.0, 3.0]]
    run(made.plan.code)
    (answer,) = Session((tmp_path / "model.tflite").read_bytes())(np.ones([1, 3], "f")).values()
    assert answer.tolist() == [[5.0, 3.0]]


def test_a_graph_as_text_with_a_checkpoint_beside_it(session_graph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("graph.pbtxt", "model.ckpt-1.index", "model.ckpt-1.data-00000-of-00001"):
        shutil.copy(session_graph / file, tmp_path)
    made = cure(tmp_path / "graph.pbtxt")
    (answer,) = Session(made.content)(np.ones([1, 3], "float32")).values()
    assert answer.tolist() == [[4.0, 3.0]]
    run(made.plan.code)
    assert (tmp_path / "model.tflite").stat().st_size


@pytest.mark.parametrize("text", [False, True])
def test_a_zip_of_a_saved_model(tf, specimen_path, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(specimen_path("slice_assign"), tmp_path / "in" / "some" / "model")
    if text:
        from google.protobuf import text_format
        from tensorflow.core.protobuf import saved_model_pb2

        file = tmp_path / "in" / "some" / "model" / "saved_model.pb"
        parsed = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        file.with_suffix(".pbtxt").write_text(text_format.MessageToString(parsed))
        file.unlink()
    archive = shutil.make_archive("packed", "zip", "in")
    shutil.rmtree("in")
    made = cure(archive)
    assert made.plan.id == "whole-updates"
    run(made.plan.code)
    for content in (made.content, (tmp_path / "model.tflite").read_bytes()):
        (answer,) = Session(content)(np.full(4, 2.0, "float32")).values()
        assert answer.tolist() == [8.0, 0.0, 0.0, 0.0]


def test_a_model_that_draws_is_made_and_not_called_proved(tf, specimen_path):
    made = cure(specimen_path("draws_with_a_seed"))
    assert (made.plan.id, made.verdict) == ("builtin-draws", "unproved")
    assert "StatelessRandomNormalV2" in made.doubt
    assert made.parity.passed  # with each draw held, which the notes say
    assert any("held at one value" in note for note in made.notes)
    answer = Session(made.content)
    one, two = (answer(np.zeros(4, "float32"))["y"] for _ in range(2))
    assert not np.array_equal(one, two)
    assert np.abs(np.concatenate([one, two])).max() < 6


@pytest.mark.parametrize("recipe", ["float16", "int8", "dynamic range"])
def test_a_quantized_model_that_draws_is_compared_with_its_draws_held(
    recipe, tf, tmp_path, monkeypatch
):
    class Noisy(tf.Module):
        def __init__(self):
            self.kernel = tf.Variable(tf.random.stateless_normal([16, 64], [1, 2]))

        @tf.function(input_signature=[tf.TensorSpec([1, 16], tf.float32, "x")])
        def __call__(self, x):
            return {"y": tf.tanh(x @ self.kernel) + tf.random.normal([1, 64], seed=3) * 0.1}

    module = Noisy()
    tf.saved_model.save(module, str(tmp_path / "noisy"), signatures=module.__call__)
    inputs = {"x": np.random.default_rng(0).normal(size=(20, 1, 16)).astype("float32")}
    made = cure(tmp_path / "noisy", quantization=recipe, inputs=inputs)
    assert made.verdict == "unproved"
    assert made.quantized.passed
    assert len(made.quantized.runs) == 2
    answer = Session(made.content)
    one, two = (answer(inputs["x"][0])["y"] for _ in range(2))
    assert not np.array_equal(one, two)
    expected = np.tanh(inputs["x"][0] @ module.kernel.numpy())
    assert np.abs(one - expected).max() < 0.8
    # A copy that is quantized wrongly is no file.
    broken = {**STEPS, "quantize": replace(STEPS["quantize"], run=zeros)}
    monkeypatch.setattr("varhandle.repair.run.STEPS", broken)
    with pytest.raises(NoCureError, match="does not answer as the model"):
        cure(made.diagnosis, quantization=recipe, inputs=inputs)


def zeros(job):
    """Quantize, and lose the values of the largest constant."""
    STEPS["quantize"].run(job)
    model = unpack(job.content)
    buffer = max((b for b in model.buffers if b.data is not None), key=lambda b: len(b.data))
    buffer.data = np.zeros(len(buffer.data), "uint8")
    job.content = pack(model)


def test_reference_variables_of_tf1_are_written_anew(tf, tmp_path):
    def step(v1, x):
        total = v1.get_variable("any/name", [4], initializer=v1.ones_initializer())
        rows = v1.get_variable("rows", [3, 4], initializer=v1.zeros_initializer())
        with tf.control_dependencies([v1.scatter_add(rows, [1], x[None])]):
            more = tf.reduce_sum(rows.read_value(), 0)
        with tf.control_dependencies([v1.assign_sub(total, x)]):
            return total.read_value() + more

    before = tf.compat.v1.resource_variables_enabled()
    tf.compat.v1.disable_resource_variables()
    try:
        path = zoo.save_tf1(tf, tmp_path, [4], step)
    finally:
        if before:
            tf.compat.v1.enable_resource_variables()
    made = cure(path)
    answer = Session(made.content)
    for call in range(1, 4):
        (got,) = answer(np.full(4, 0.5, "float32")).values()
        np.testing.assert_allclose(got, np.full(4, 1 - 0.5 * call + 0.5 * call))

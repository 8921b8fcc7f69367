"""The code that ``explain`` recommends is run here, on the installed TensorFlow."""

import numpy as np
import pytest
import zoo

from varhandle import check_parity, explain
from varhandle.conversion.converter import convert
from varhandle.families import (
    keras3_export,
    uninitialised_variable,
    unsupported_variable_dtype,
    unsupported_variable_update,
)
from varhandle.families.catalog import FAMILIES

FIXES = {family.id: family.fix for family in FAMILIES}
FIX_OTHER_KERAS = keras3_export._OTHER_KERAS
FIX_SESSION = uninitialised_variable._IN_SESSION
dtype_fix = unsupported_variable_dtype.fix_for
update_fix = unsupported_variable_update.fix_for

# A shell's line, and C++.
NOT_PYTHON = {"runtime-too-old", "micro-needs-store"}


def code_of(fix):
    return fix.partition("\n\n")[2]


def run(code, **names):
    exec(compile(code, "fix", "exec"), names)
    return names


def counter(tf):
    """A module that counts."""

    class Counter(tf.Module):
        def __init__(self):
            super().__init__()
            self.seen = tf.Variable(tf.zeros([4]), name="seen")

        @tf.function(input_signature=[zoo.spec(tf, 4)])
        def __call__(self, x):
            self.seen.assign_add(x)
            return {"y": self.seen.read_value()}

    return Counter()


@pytest.mark.parametrize("family", sorted(FIXES))
def test_every_fix_is_a_sentence_and_code_that_compiles(family):
    sentence, _, code = FIXES[family].partition("\n\n")
    assert sentence.endswith((".", ":"))
    assert len(sentence) < 350
    assert code
    if family not in NOT_PYTHON:
        compile(code, family, "exec")


@pytest.mark.parametrize(
    "family", ["frozen-but-assigned", "gather-from-frozen-table", "not-immutable"]
)
def test_the_owner_is_handed_over(tf, family):
    module = counter(tf)
    names = run(code_of(FIXES[family]), tf=tf, module=module, folder=None)
    content = names["converter"].convert()
    fresh = counter(tf)
    calls = [{"x": np.full(4, i, "float32")} for i in range(3)]
    assert check_parity(fresh.__call__.get_concrete_function(), content, calls).passed


def test_a_saved_model_with_its_signature(tf, tmp_path):
    names = run(
        code_of(FIXES["freezer-lost-variable"]), tf=tf, module=counter(tf), folder=str(tmp_path)
    )
    assert names["converter"].convert()


def test_frozen_in_its_session(tf, tmp_path):
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder("float32", [4], name="x")
        weight = v1.get_variable("w", [4], use_resource=True)
        tf.identity(x * weight, name="y")
        saver = v1.train.Saver()
        given = {"graph": graph, "saver": saver, "session": session, "tf": tf}
        session.run(v1.global_variables_initializer())
        checkpoint = saver.save(session, str(tmp_path / "w"))
    names = run(
        code_of(FIXES["unfrozen-graph"]),
        **given,
        checkpoint=checkpoint,
        output_node_names=["y"],
    )
    assert {node.op for node in names["frozen"].node} == {"Placeholder", "Const", "Mul", "Identity"}
    with graph.as_default(), v1.Session(graph=graph) as session:
        run(code_of(FIX_SESSION), **{**given, "session": session}, checkpoint=checkpoint)
        assert session.run("y:0", {"x:0": np.ones(4)}).shape == (4,)


def test_keras_writes_the_saved_model(tf, tmp_path):
    model = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(2)])
    names = run(code_of(FIX_OTHER_KERAS), tf=tf, model=model, folder=str(tmp_path / "other"))
    assert names["converter"].convert()
    owner = tf.Module()
    run(code_of(FIXES["keras3-export"]), tf=tf, model=model, folder=str(tmp_path), self=owner)
    assert len(owner.variables) == 2
    held = run(code_of(FIXES["uninitialised-variable"]), tf=tf)["Owner"](model)

    @tf.function(input_signature=[zoo.spec(tf, 1, 3)])
    def answer(x):
        return {"y": model(x)}

    tf.saved_model.save(held, str(tmp_path / "held"), signatures=answer)
    calls = [{"x": np.ones((1, 3), "float32")}]
    assert check_parity(
        answer.get_concrete_function(), convert(tmp_path / "held").content, calls
    ).passed


def test_builtin_ops_only(tf):
    module = counter(tf)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.__call__.get_concrete_function()], module
    )
    run(code_of(FIXES["flex-variable"]), tf=tf, converter=converter)
    run(code_of(FIXES["constant-folding-failed"]), converter=converter)
    content = converter.convert()
    names = run(
        code_of(FIXES["quantised-state"]).replace(", calls)", ", made(lifted))"),
        content=content,
        made=lambda lifted: [
            {name: np.full(4, i, "float32") for name in ("x", *lifted.start())} for i in range(3)
        ],
    )
    assert names["quantized"].content


def test_a_table_becomes_a_constant(tf):
    owner = tf.Module()
    names = run(code_of(FIXES["other-resource"]), tf=tf, self=owner, values=[5, 7], indices=[1])
    assert names["answer"].numpy().tolist() == [7]
    run(code_of(FIXES["shared-or-dynamic-state"]), tf=tf, self=owner, units=3)
    assert owner.state.shape == (1, 3)


@pytest.mark.parametrize(
    ("fix", "expected"),
    [
        (update_fix("ResourceStridedSliceAssign"), [9.0, 9.0, 3.0, 4.0]),
        (update_fix("ResourceScatterNdUpdate"), [1.0, 7.0, 3.0, 4.0]),
        (update_fix("ResourceApplyAdam"), [0.5, 1.5, 2.5, 3.5]),
        (dtype_fix("model/seen"), [9.0, 9.0, 9.0, 9.0]),
    ],
)
def test_an_update_is_computed_and_assigned(tf, fix, expected):
    given = {
        "tf": tf,
        "x": tf.constant([9.0] * 4),
        "indices": [[1]],
        "updates": [7.0],
        "rate": 0.5,
        "gradient": tf.ones([4]),
    }
    owner = tf.Module()
    owner.seen = tf.Variable([1.0, 2.0, 3.0, 4.0])
    run(code_of(fix), self=owner, **given)
    assert owner.seen.numpy().tolist() == expected


def test_the_fix_is_made_for_the_line():
    (match,) = explain("FailedPreconditionError: Attempting to use uninitialized value w").matches
    assert match.fix == FIX_SESSION
    (match,) = explain("'Model' object has no attribute '_get_save_spec'").matches
    assert match.fix == FIX_OTHER_KERAS
    for code, variables in (("142", True), ("151", False)):
        (match,) = explain(f"Op builtin_code out of range: {code}.").matches
        assert ("lift" in match.fix) is variables
    for op, variables in (("VAR_HANDLE", True), ("QUANTIZE", False)):
        log = f"Didn't find op for builtin opcode '{op}' version '3'. Registration failed."
        (match,) = explain(log).matches
        assert ("lift" in match.fix) is variables
    (match,) = explain("Tensorflow op [a/states1: TFL_VAR_HANDLE] is not supported").matches
    assert "lift" in match.fix

"""A model that draws random numbers: seen by its ops, and drawn by builtins."""

from dataclasses import replace

import numpy as np
import pytest
import zoo
from family_checks import case_test, finding_of, ids, log_test, refused, run, severe

from varhandle import diagnose, explain
from varhandle.conversion.converter import convert
from varhandle.evaluate.session import Session
from varhandle.families.catalog import family, find
from varhandle.formats import read_graph
from varhandle.graph import Function, Graph, Node, Signature
from varhandle.savedmodel.rewrite_signature import CannotRewriteError, rewrite_signatures

FAMILY = family("random-draws")

test_a_case_does_what_it_is_for = case_test(
    FAMILY,
    {"stateless-normal": "convert: ConverterError: 'tf.StatelessRandomNormalV2' op is neither"},
)

test_it_shows_in_a_log = log_test(
    FAMILY,
    [
        refused("StatelessRandomUniformV2"),
        "error: failed to legalize operation 'tf.RandomGamma' that was explicitly marked illegal",
        "a list of operators for which you will need custom implementations: RandomUniform.",
        "TF Select ops: Erf, StatelessRandomNormalV2\nDetails:",
    ],
)


def test_another_op_is_no_draw():
    assert "random-draws" not in ids(refused("MatrixInverse"))
    assert (
        "StatelessRandomNormalV2" in explain(refused("StatelessRandomNormalV2")).matches[0].message
    )
    (match,) = explain("Converting unsupported operation: RandomUniform").matches
    assert match.message.endswith("there is no builtin op in that release.")


def drawing(*nodes, function="f"):
    """A model whose signature runs some nodes: each (name, op, *inputs)."""
    made = tuple(Node(n, op, inputs, inputs) for n, op, *rest in nodes for inputs in [tuple(rest)])
    functions = (Function("main graph", ()), Function("f", made))
    if function == "main graph":
        functions = (Function("main graph", made),)
    return Graph("m", "saved_model", functions, (), (Signature("s", function, (), ()),))


@pytest.mark.parametrize("code", [(), ("PyFunc calls Python code: node a of f",)])
def test_the_command_says_what_loading_the_model_takes(code):
    """Whether or not this diagnosis was allowed to run what the model brings along."""
    graph = replace(drawing(("a", "RandomGamma", "x")), embedded_code=code)
    (found,) = diagnose(graph, static=True).findings
    command = "# varhandle cure m model.tflite --signature s"
    assert found.fix.splitlines()[-1] == command + " --trust" * bool(code)


@pytest.mark.parametrize(
    ("nodes", "severity", "words"),
    [
        ([("a", "StatelessRandomNormalV2", "x")], "error", "no builtin op: a file"),
        ([("a", "RandomUniform", "x")], "warning", "by RandomUniform: a file"),
        ([("a", "RandomUniform", "x"), ("b", "RandomGamma", "x")], "error", "for RandomGamma"),
        (
            [("a", "RandomUniform"), ("b", "Mul", "a"), ("c", "GreaterEqual", "b")],
            "warning",
            "Drop",
        ),
        ([("a", "RandomUniform"), ("b", "MatMul", "a"), ("c", "Less", "b")], "warning", "by Rand"),
    ],
)
def test_a_draw_is_seen_by_its_op_whatever_it_is_called(nodes, severity, words):
    (found,) = find(drawing(*nodes))
    assert (found.id, found.severity) == ("random-draws", severity)
    assert words in found.message
    assert ("Dropout" in found.message) == ("model.export" in found.fix) == (words == "Drop")
    assert ("varhandle cure m model.tflite --signature s" in found.fix) == (severity == "error")


def test_what_only_gives_a_variable_of_tf1_its_first_value_is_no_draw():
    start = [("r", "RandomStandardNormal"), ("m", "Mul", "r"), ("a", "Assign", "v", "m")]
    assert find(drawing(*start, function="main graph")) == ()
    used = [*start, ("y", "Add", "m", "x")]
    assert severe(find(drawing(*used, function="main graph"))) == ("random-draws",)


SHAPE = (4000,)


def of_distributions(tf, x):
    """One of each distribution that ``cure`` draws anew, in some way that TensorFlow has."""
    seed = tf.cast(x[:2], tf.int32)
    rows = tf.reshape(tf.range(4000.0), SHAPE)
    return {
        "uniform": tf.random.stateless_uniform(SHAPE, seed, 1.0, 3.0),
        "normal": tf.random.stateless_normal(SHAPE, seed, 2.0, 0.5),
        "truncated": tf.random.stateless_truncated_normal(SHAPE, seed),
        "integers": tf.random.stateless_uniform(SHAPE, seed, -3, 7, tf.int32),
        "classes": tf.random.stateless_categorical(tf.math.log([[0.1, 0.2, 0.7]]), 4000, seed),
        "shuffled": tf.random.experimental.stateless_shuffle(rows, seed),
        "constant": tf.random.stateless_normal([3], [1, 2]),
    }


@pytest.fixture(scope="module")
def drawn(tf, tmp_path_factory):
    """What the file made of each answers to several calls, and what TensorFlow answers."""
    folder = tmp_path_factory.mktemp("distributions")
    path = zoo.save_step(tf, folder, {}, lambda _, x: of_distributions(tf, x))
    rewrite_signatures(str(path), str(folder / "drawn"), ["serving_default"])
    run_file = Session(convert(folder / "drawn").content)
    mine = [run_file(np.float32([i, i + 1, 0, 0])) for i in range(3)]
    theirs = [of_distributions(tf, tf.constant([i, i + 1.0, 0, 0])) for i in range(3)]
    return mine, [{name: np.array(v) for name, v in one.items()} for one in theirs]


@pytest.mark.parametrize("name", ["uniform", "normal", "truncated", "integers", "classes"])
def test_the_builtins_draw_from_the_same_distribution(drawn, name):
    mine, theirs = (np.concatenate([one[name].ravel() for one in each]) for each in drawn)
    assert mine.dtype == theirs.dtype
    assert (mine.min() >= theirs.min()) == (
        theirs.dtype.kind == "i"
    ) or mine.min() > theirs.min() - 1
    spread = theirs.std()
    assert abs(mine.mean() - theirs.mean()) < 0.06 * spread
    assert abs(mine.std() - spread) < 0.06 * spread
    probabilities = [0.05, 0.25, 0.5, 0.75, 0.95]
    gap = np.quantile(mine, probabilities) - np.quantile(theirs, probabilities)
    assert np.abs(gap).max() < 0.12 * spread + (theirs.dtype.kind == "i")


def test_each_call_draws_anew_and_a_fixed_seed_does_not(drawn):
    mine, theirs = drawn
    assert not np.array_equal(mine[0]["normal"], mine[1]["normal"])
    for one in mine:
        np.testing.assert_allclose(one["constant"], theirs[0]["constant"], rtol=1e-6)
        assert sorted(one["shuffled"].tolist()) == list(range(4000))
        assert one["shuffled"].tolist() != list(range(4000))


def test_what_no_builtin_draws_is_refused_with_its_name(tf, tmp_path):
    def step(_, x):
        return {"y": tf.random.stateless_gamma([4], tf.cast(x[:2], tf.int32), alpha=2.0)}

    path = zoo.save_step(tf, tmp_path, {}, step)
    with pytest.raises(CannotRewriteError, match="StatelessRandomGamma"):
        rewrite_signatures(str(path), str(tmp_path / "drawn"), ["serving_default"])


def test_the_state_of_a_generator_is_left_out_and_other_state_is_kept(tf, tmp_path):
    module = tf.Module()
    module.generator = tf.random.Generator.from_seed(1)
    module.seed = tf.Variable([1, 2], name="any")
    module.calls = tf.Variable(0.0, name="calls")

    def step(x):
        module.calls.assign_add(1.0)
        noise = module.generator.normal([4]) + tf.random.stateless_uniform([4], module.seed)
        module.seed.assign_add([1, 1])
        return {"y": x + 0.0 * noise + module.calls}

    module.step = tf.function(step, input_signature=[zoo.spec(tf, 4)])
    path = zoo.save(tf, tmp_path, module, serving_default=module.step)
    rewrite_signatures(str(path), str(tmp_path / "drawn"), ["serving_default"])
    assert [v.name for v in read_graph(tmp_path / "drawn").variables if v.assigns] == ["calls"]
    file = Session(convert(tmp_path / "drawn").content)
    for call in (1.0, 2.0):
        (answer,) = file(np.zeros(4, "float32")).values()
        np.testing.assert_array_equal(answer, [call] * 4)


def test_held_draws_answer_alike(tf, tmp_path):
    path = zoo.save_step(tf, tmp_path, {}, lambda _, x: of_distributions(tf, x))
    held = tmp_path / "held"
    rewrite_signatures(str(path), str(held), ["serving_default"], (), True)
    function = tf.saved_model.load(str(held)).signatures["serving_default"]
    for call in range(2):
        answer = function(x=tf.constant([call, call + 1.0, 0.0, 0.0]))
        for name in ("uniform", "normal", "integers"):
            assert np.unique(answer[name]).size == 1


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("StatelessRandomNormalV2", {"shape": [3]}),
        ("StatelessRandomUniformV2", {"shape": [3]}),
        ("StatelessTruncatedNormalV2", {"shape": [3]}),
        ("StatelessRandomUniformIntV2", {"shape": [3], "lowest": 2, "highest": 5}),
        ("StatelessShuffle", {"rows": [[1.0], [2.0], [3.0]]}),
        ("StatelessMultinomial", {"logits": [[0.0, 1.0]], "count": 3}),
    ],
)
def test_what_is_to_be_written_instead_converts(tf, tmp_path, name, given):
    """The printed line, in the step of an author's module."""
    (found,) = find(drawing(("a", name, "x")))

    def step(_, x):
        names = run(found.fix, **{key: tf.constant(value) for key, value in given.items()})
        made = names["drawn"] if "drawn" in names else names["rows"]
        return {"y": tf.cast(made, tf.float32) + 0.0 * x[0]}

    path = zoo.save_step(tf, tmp_path, {}, step)
    (answer,) = Session(convert(path).content)(np.zeros(4, "float32")).values()
    assert answer.size == 3
    assert severe(find(read_graph(path))) == ("random-draws",)
    assert finding_of(path, "random-draws").severity == "warning"

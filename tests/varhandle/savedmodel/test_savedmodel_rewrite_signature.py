"""A signature rebuilt: it answers as the original does in TensorFlow, bit by bit, and converts."""

import functools

import numpy as np
import pytest
from stateful_modules import runners

from varhandle.facts.dtypes import DTYPES
from varhandle.savedmodel.functional_updates import CannotRewriteError
from varhandle.savedmodel.resave_tracked import entries_of
from varhandle.savedmodel.rewrite_signature import _rounded, rewrite_signatures


def save(tf, folder, variables, step, *specs, **more):
    """Save a module that holds variables, with ``step`` (and more) as its signatures."""
    module = tf.Module()
    for name, variable in variables.items():
        setattr(module, name, variable)
    functions = {"step": step, **more}
    signatures = {
        name: tf.function(functools.partial(function, module), input_signature=specs)
        for name, function in functions.items()
    }
    module.kept = list(signatures.values())
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return str(folder)


def answers(tf, folder, calls):
    (entry,) = entries_of(folder, ["step"])
    inputs = entry.function.structured_input_signature[1]
    told = []
    for call in calls:
        fed = {n: tf.constant(v, inputs[n].dtype) for n, v in call.items()}
        told.append({n: np.array(v) for n, v in entry.function(**fed).items()})
    return told


def lite_answers(tf, folder, calls):
    content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    run = runners(content, delegates=False)["step"]
    return [dict(run(**call)) for call in calls]


def agree(tf, tmp_path, source, calls, narrow=(), *, tolerance=0.0):
    """Compare the rewritten signature, and its file, with the original in TensorFlow."""
    new = str(tmp_path / "new")
    rewrite_signatures(source, new, ["step"], narrow)
    expected = answers(tf, source, calls)
    for got in (answers(tf, new, calls), lite_answers(tf, new, calls)):
        for mine, theirs in zip(got, expected, strict=True):
            for name in theirs:
                np.testing.assert_allclose(mine[name], theirs[name], tolerance, tolerance)
    assert len({answer[name].tobytes() for answer in expected for name in answer}) > 1
    return expected


def floats(*shape, count=8):
    random = np.random.default_rng(0)
    return [{"x": random.standard_normal(shape).astype("float32")} for _ in range(count)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_narrow_float_rounds_as_it_did(tf, tmp_path, dtype):
    """What is kept in float32 without rounding differs from the second call on: a mutant."""

    one = tf.cast(1, dtype)

    def step(module, x):
        module.level.assign(module.level * tf.cast(0.7, dtype) + tf.cast(x, dtype))
        module.level.assign_sub(tf.fill([4], tf.cast(0.1, dtype)))
        return {"y": tf.cast(module.level / (module.level * module.level + one), tf.float32)}

    level = tf.Variable(tf.zeros([4], dtype), name="level")
    source = save(tf, tmp_path / "old", {"level": level}, step, tf.TensorSpec([4], name="x"))
    agree(tf, tmp_path, source, floats(4), [dtype])


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint32"])
def test_a_narrow_integer_wraps_as_it_did(tf, tmp_path, dtype):
    """A generator of pseudo-random numbers, which overflows at every call."""
    factor = {"uint32": 1664525}.get(dtype, 25173)

    def step(module, x):
        new = module.seed * tf.constant(factor, dtype) + tf.constant(13849, dtype)
        module.seed.assign(new)
        module.count.assign_add(tf.constant(20011, dtype))
        return {"y": tf.cast(new, tf.int64), "n": tf.cast(module.count, tf.int64), "x": x * 2.0}

    variables = {
        "seed": tf.Variable(tf.constant([1, 77], dtype), name="seed"),
        "count": tf.Variable(tf.constant(0, dtype), name="count"),
    }
    source = save(tf, tmp_path / "old", variables, step, tf.TensorSpec([1], name="x"))
    expected = agree(tf, tmp_path, source, floats(1), [dtype])
    limits = np.iinfo(dtype)
    values = [value for answer in expected for value in answer["y"]]
    assert limits.min <= min(values) <= max(values) <= limits.max
    assert len(set(values)) > 10


def test_rounding_is_tensorflows_own(tf):
    """A million numbers of every size, and those where something changes."""
    bits = np.random.default_rng(0).integers(0, 2**32, 1_000_000, dtype=np.uint64)
    edges = [0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.99, 65520, 2**-14, 2**-24, 2**-25]
    values = np.concatenate([bits.astype(np.uint32).view(np.float32), np.float32(edges)])
    for dtype in (tf.float16, tf.bfloat16):
        wanted = tf.cast(tf.cast(values, dtype), tf.float32).numpy()
        got = _rounded(tf, tf.constant(values), dtype).numpy()
        tiny = np.abs(values) < np.finfo(np.float32).tiny  # TensorFlow's kernels flush these to 0
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        assert np.all(same | tiny), values[~(same | tiny)][:5]


def slices(tf, module, x):
    module.grid[1:, ::2].assign(x[:2, :2])
    module.grid[-1].assign(x[0])
    module.grid[..., 0].assign(x[0, :3])
    module.grid[0, tf.newaxis, 1:3].assign(x[1:2, :2])
    module.grid[2, 3].assign(7.0)


def rows(tf, module, x):
    module.grid.scatter_update(tf.IndexedSlices(x, [1, 1, 2]))
    module.grid.scatter_add(tf.IndexedSlices(x, [0, 2, 2]))
    module.grid.scatter_sub(tf.IndexedSlices(x * 0.5, [1, 1, 1]))
    module.grid.scatter_max(tf.IndexedSlices(x, [0, 1, 0]))
    module.grid.scatter_min(tf.IndexedSlices(x + 1, [2, 2, 0]))


def cells(tf, module, x):
    module.grid.scatter_nd_update([[0, 1], [2, 3]], x[0, :2])
    module.grid.scatter_nd_add([[0, 1], [0, 1], [1, 1]], x[1, :3])
    module.grid.scatter_nd_sub([[1], [1]], x[:2])


def a_branch_and_a_loop(tf, module, x):
    if tf.reduce_sum(x) > 0:
        module.grid[0].assign(x[0])
    else:
        module.grid[1].assign(x[1])
    for _ in tf.range(2):
        module.grid[2].assign(module.grid[2] * 0.5 + x[2])


@pytest.mark.parametrize("update", [slices, rows, cells, a_branch_and_a_loop])
def test_an_update_of_a_part(tf, tmp_path, update):
    def step(module, x):
        tf.autograph.to_graph(update)(tf, module, x)
        return {"y": module.grid + 0.0}

    grid = tf.Variable(tf.reshape(tf.range(12.0), [3, 4]), name="grid")
    source = save(tf, tmp_path / "old", {"grid": grid}, step, tf.TensorSpec([3, 4], name="x"))
    agree(tf, tmp_path, source, floats(3, 4), tolerance=1e-6)


def moved(tf, tmp_path, shape, assign, calls):
    """Compare a slice that moves with TensorFlow, which is asked at every place."""

    def step(module, place, value):
        assign(module.grid, place, value)
        return {"y": module.grid + 0.0}

    size = int(np.prod(shape))
    grid = tf.Variable(tf.reshape(tf.range(float(size)), shape), name="grid")
    specs = tf.TensorSpec([], tf.int32, "place"), tf.TensorSpec(calls[0][1].shape, name="value")
    source = save(tf, tmp_path / "old", {"grid": grid}, step, *specs)
    agree(tf, tmp_path, source, [{"place": np.int32(n), "value": value} for n, value in calls])


@pytest.mark.parametrize(
    ("shape", "assign", "given", "places"),
    [
        (
            (1, 2, 6, 4),
            lambda v, p, x: v[:, :, p : p + 1, :].assign(x),
            (1, 2, 1, 4),
            range(-6, -1),
        ),
        ((6, 3), lambda v, p, x: v[p : p + 2].assign(x), (2, 3), range(5)),
        ((6,), lambda v, p, x: v[p : p + 3].assign(x), (), range(-9, 9)),
        ((6, 3), lambda v, p, x: v[p:, 1:].assign(x), (1, 2), range(-9, 9)),
        ((6, 3), lambda v, p, x: v[:p].assign(x), (3,), range(-9, 9)),
        ((2, 6, 3), lambda v, p, x: v[:, p, ::2].assign(x), (2, 2), range(-6, 6)),
        ((5, 6), lambda v, p, x: v[::-1, p].assign(x), (5,), range(-6, 6)),
        ((2, 1, 2, 6, 4), lambda v, p, x: v[1, :, :, p].assign(x), (1, 2, 4), range(6)),
    ],
    ids=["kv cache", "rows", "clamped", "to the end", "from the start", "index", "back", "5 d"],
)
def test_a_slice_that_moves(tf, tmp_path, shape, assign, given, places):  # noqa: PLR0917
    random = np.random.default_rng(1)
    calls = [(n, random.standard_normal(given).astype("float32")) for n in places]
    moved(tf, tmp_path, shape, assign, calls)


def test_a_large_cache_is_not_compared_pair_by_pair(tf, tmp_path):
    calls = [(n, np.full([1, 8, 1, 64], n, "float32")) for n in (0, 511)]
    shape = (1, 8, 512, 64)
    moved(tf, tmp_path, shape, lambda v, p, x: v[:, :, p : p + 1].assign(x), calls)


def test_one_row_of_a_table_is_replaced(tf, tmp_path):
    def step(module, place, value):
        module.grid.scatter_nd_update([[place]], value)
        return {"y": module.grid + 0.0}

    grid = tf.Variable(tf.reshape(tf.range(12.0), [4, 3]), name="grid")
    specs = tf.TensorSpec([], tf.int32, "place"), tf.TensorSpec([1, 3], name="value")
    source = save(tf, tmp_path / "old", {"grid": grid}, step, *specs)
    calls = [{"place": np.int32(n), "value": np.full([1, 3], n + 20.0, "float32")} for n in (2, 0)]
    agree(tf, tmp_path, source, calls)


def test_uint32_goes_beyond_what_int32_holds(tf, tmp_path):
    def step(module, x):
        module.total.assign_add(tf.cast(x, tf.uint32))
        return {"y": tf.cast(module.total, tf.int64)}

    total = tf.Variable(tf.constant([2**31 - 1, 2**32 - 2], tf.uint32), name="total")
    source = save(tf, tmp_path / "old", {"total": total}, step, tf.TensorSpec([2], tf.int64, "x"))
    calls = [{"x": np.array([1, 1])}, {"x": np.array([2**31, 1])}]
    agree(tf, tmp_path, source, calls, ["uint32"])


def test_a_captured_constant_stays_and_checks_go(tf, tmp_path):
    table = tf.constant([3.0, 5.0])

    def step(module, x):
        tf.debugging.assert_all_finite(x, "x")
        x = tf.debugging.check_numerics(x, "x")
        module.level.assign(module.level + tf.cast(x * table, tf.float16))
        return {"y": tf.cast(module.level, tf.float32)}

    level = tf.Variable(tf.zeros([2], tf.float16), name="level")
    source = save(tf, tmp_path / "old", {"level": level}, step, tf.TensorSpec([2], name="x"))
    agree(tf, tmp_path, source, floats(2), ["float16"])


def test_a_ring_whose_place_is_a_variable(tf, tmp_path):
    def step(module, x):
        module.ring[module.at].assign(x)
        module.at.assign((module.at + 1) % 3)
        return {"y": module.ring + 0.0, "last": tf.gather_nd(module.ring, [[0]])}

    variables = {
        "ring": tf.Variable(tf.zeros([3, 2]), name="ring"),
        "at": tf.Variable(-1, name="at"),
    }
    source = save(tf, tmp_path / "old", variables, step, tf.TensorSpec([2], name="x"))
    agree(tf, tmp_path, source, floats(2))


def test_signatures_share_what_they_shared(tf, tmp_path):
    def step(module, x):
        module.total.assign_add(tf.cast(x, tf.float16))
        return {"y": tf.cast(module.total, tf.float32)}

    def reset(module, x):
        module.total.assign(tf.zeros([2], tf.float16))
        return {"y": x + 0.0}

    total = tf.Variable(tf.zeros([2], tf.float16), name="total")
    spec = tf.TensorSpec([2], name="x")
    source = save(tf, tmp_path / "old", {"total": total}, step, spec, reset=reset)
    rewrite_signatures(source, str(tmp_path / "new"), ["reset", "step"], ["float16"])
    loaded = tf.saved_model.load(str(tmp_path / "new"))
    x = tf.constant([1.0, 2.0])
    loaded.signatures["step"](x=x)
    loaded.signatures["reset"](x=x)
    np.testing.assert_array_equal(loaded.signatures["step"](x=x)["y"], [1.0, 2.0])


def inverted(tf, v, x):
    v.assign(tf.bitwise.invert(v))


def multiplied(tf, v, x):
    v.scatter_mul(tf.IndexedSlices(x, [0, 0]))


def moved_by_steps(tf, v, x):
    v[tf.cast(x[0], tf.int32) :: 2].assign(x)


def of_unknown_length(tf, v, x):
    n = tf.cast(x[0], tf.int32)
    v[:n].assign(tf.zeros([n]))


def moved_in_five_dimensions(tf, v, x):
    n = tf.cast(x[0], tf.int32)
    v[:, n, :1, n, :1].assign(tf.zeros([2, 1, 1]))


@pytest.mark.parametrize(
    ("update", "dtype", "fault"),
    [
        (inverted, "uint16", "Invert on uint16 may answer otherwise in a wider integer"),
        (multiplied, "float32", "ResourceScatterMul on the variable v is not followed"),
        (moved_by_steps, "float32", "a slice with steps begins or ends where only the model knows"),
        (of_unknown_length, "float32", "how many values are assigned to a slice is known only as"),
        (moved_in_five_dimensions, "float32", "a slice of 5 dimensions moves: too many for SELECT"),
    ],
)
def test_what_is_not_followed_is_refused(tf, tmp_path, update, dtype, fault):
    def step(module, x):
        update(tf, module.v, x)
        return {"y": tf.cast(module.v, tf.float32) + 0.0}

    shape = [2] * 5 if update is moved_in_five_dimensions else [3]
    v = tf.Variable(tf.ones(shape, dtype), name="v")
    source = save(tf, tmp_path / "old", {"v": v}, step, tf.TensorSpec([2], name="x"))
    narrow = [dtype] if DTYPES[dtype].widened else []
    with pytest.raises(CannotRewriteError, match=fault) as raised:
        rewrite_signatures(source, str(tmp_path / "new"), ["step"], narrow)
    assert "\n" not in str(raised.value)


def test_a_carrier_holds_every_value():
    for one in DTYPES.values():
        assert not one.widened or (DTYPES[one.widened].carried and DTYPES[one.widened].calculated)
        if one.widened:
            assert np.can_cast(np.dtype(one.name), one.widened, "safe")
    assert {"int4", "uint32", "float16"} <= {one.name for one in DTYPES.values() if one.widened}

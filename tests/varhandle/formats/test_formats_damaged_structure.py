"""Graphs whose bytes are sound and whose structure is not: as a broken tool or a stranger has them.

TensorFlow's own import says which of them are no graphs.
"""

import contextlib
import json
import random
import shutil
import zipfile

import pytest

from varhandle.cli import main
from varhandle.evaluate.example_inputs import example_calls
from varhandle.formats import read_graph
from varhandle.formats.proto_schema import MESSAGES
from varhandle.graph import ModelFileError

NAMES = (
    *(
        "",
        "nowhere",
        "a/b",
        "x\ny",
        "\x1b[31mred",
        "n" * 5000,
        "^x",
        ":0",
        "x:1:2",
        "x:99999999999",
    ),
    *("../../up", "main graph", "\u202eback", "\0", "=1+1", "^", "^^x", "__saved_model_init_op"),
)
OPS = (
    *("", "NoSuchOp", "Placeholder", "Const", "VarHandleOp", "VariableV2", "Assign", "Merge", "If"),
    *("AssignVariableOp", "ReadVariableOp", "RestoreV2", "SaveV2", "While", "PartitionedCall"),
    *("Switch", "Enter", "Exit", "NextIteration", "HashTableV2", "LookupTableFindV2", "Mean"),
)
NUMBERS = (-(2**31), -1, 0, 1, 3, 101, 999, 2**31 - 1)
SIZES = (-(2**63), -1, 0, 1, 2**31, 2**62)


def _node_lists(graph):
    return [part for part in (graph.node, *(f.node_def for f in graph.library.function)) if part]


def _set_input(rng, nodes, name):
    node = rng.choice(nodes)
    if node.input and rng.random() < 0.7:
        node.input[rng.randrange(len(node.input))] = name
    else:
        node.input.append(name)


def _circle(rng, graph, size):
    nodes = rng.choice(_node_lists(graph))
    chosen = rng.sample(list(nodes), min(size, len(nodes)))
    for node, before in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
        _set_input(rng, [node], rng.choice(["", "^"]) + before.name)


def _name(rng, graph):
    rng.choice(rng.choice(_node_lists(graph))).name = rng.choice(NAMES)


def _other_name(rng, graph):
    nodes = rng.choice(_node_lists(graph))
    rng.choice(nodes).name = rng.choice(nodes).name


def _swapped_names(rng, graph):
    nodes = rng.choice(_node_lists(graph))
    one, other = rng.choice(nodes), rng.choice(nodes)
    one.name, other.name = other.name, one.name


def _no_input(rng, graph):
    node = rng.choice(rng.choice(_node_lists(graph)))
    del node.input[rng.randrange(len(node.input) + 1) :]


def _other_input(rng, graph):
    nodes = rng.choice(_node_lists(graph))
    name = rng.choice([rng.choice(NAMES), f"{rng.choice(nodes).name}:{rng.choice(NUMBERS)}"])
    _set_input(rng, nodes, name)


def _no_node(rng, graph):
    nodes = rng.choice(_node_lists(graph))
    del nodes[rng.randrange(len(nodes))]


def _op(rng, graph):
    rng.choice(rng.choice(_node_lists(graph))).op = rng.choice(OPS)


def _attribute(rng, graph):
    nodes = [n for part in _node_lists(graph) for n in part if n.attr]
    if not nodes:
        return
    node = rng.choice(nodes)
    value = node.attr[rng.choice(sorted(node.attr))]
    if value.HasField("tensor") and rng.random() < 0.7:
        value.tensor.tensor_shape.dim.add(size=rng.choice(SIZES))
        value.tensor.dtype = rng.choice(NUMBERS)
    elif value.HasField("list"):
        value.list.type.append(rng.choice(NUMBERS))
    else:
        value.Clear()
        kind = rng.choice(["s", "i", "type", "shape", "func", "nothing"])
        if kind == "s":
            value.s = b"\xff\x1b[31m"
        elif kind in ("i", "type"):
            setattr(value, kind, rng.choice(NUMBERS))
        elif kind == "shape":
            value.shape.dim.add(size=rng.choice(SIZES))
        elif kind == "func":
            value.func.name = rng.choice(NAMES)


def _function(rng, graph):
    library = graph.library.function
    if not library:
        return
    function, other = rng.choice(library), rng.choice(library)
    kind = rng.randrange(6)
    if kind == 0:
        library.remove(function)
    elif kind == 1:
        function.signature.name, other.signature.name = (
            other.signature.name,
            function.signature.name,
        )
    elif kind == 2:
        function.signature.name = rng.choice(NAMES)
    elif kind == 3:
        del function.signature.input_arg[:]
    elif kind == 4 and function.ret:
        function.ret[rng.choice(sorted(function.ret))] = rng.choice(NAMES)
    else:  # each calls the other, without an end
        for caller, called in ((function, other), (other, function)):
            caller.node_def.add(name="more", op=called.signature.name)


GRAPH_DAMAGES = (
    *(_name, _other_name, _swapped_names, _no_input, _other_input, _no_node, _op, _attribute),
    *(_function, lambda rng, graph: _circle(rng, graph, rng.choice([1, 2, 3]))),
)


def _signature(rng, meta_graph):
    signatures = meta_graph.signature_def
    if not signatures:
        return
    signature = signatures[rng.choice(sorted(signatures))]
    part = rng.choice([signature.inputs, signature.outputs])
    kind = rng.randrange(5)
    if kind == 0 or not part:
        part[rng.choice(NAMES)].name = rng.choice(NAMES)
    elif kind == 1:
        part[rng.choice(sorted(part))].dtype = rng.choice(NUMBERS)
    elif kind == 2:
        part[rng.choice(sorted(part))].tensor_shape.dim.add(size=rng.choice(SIZES))
    elif kind == 3:
        part.clear()
    else:
        signatures[rng.choice(NAMES)].CopyFrom(signature)


def _objects(rng, meta_graph):
    objects, functions = meta_graph.object_graph_def.nodes, meta_graph.object_graph_def
    if objects:
        child = rng.choice(objects).children.add()
        child.node_id = rng.choice([*NUMBERS, rng.randrange(len(objects))])
        child.local_name = rng.choice(NAMES)
        if rng.random() < 0.3:
            del objects[rng.randrange(len(objects))]
    for name in sorted(functions.concrete_functions)[:1]:
        functions.concrete_functions[name].bound_inputs.append(rng.choice(NUMBERS))


def _saver(rng, meta_graph):
    field = rng.choice(["filename_tensor_name", "save_tensor_name", "restore_op_name"])
    setattr(meta_graph.saver_def, field, rng.choice(NAMES))
    meta_graph.asset_file_def.add(filename="a.txt").tensor_info.name = rng.choice(NAMES)
    meta_graph.collection_def["legacy_init_op"].node_list.value.append(rng.choice(NAMES))


META_DAMAGES = (_signature, _objects, _saver)


@pytest.fixture
def holds(capsys):
    """Hold that a command ends with an answer or with one line that names the file."""

    def hold(verb, codes, *paths):
        code = main([*verb.split(), *map(str, paths)])
        printed = capsys.readouterr()
        assert code in codes
        assert all(line.isprintable() for line in (printed.out + printed.err).splitlines())
        lines = printed.err.splitlines()
        assert len(lines) == (1 if code == 2 else 0)
        assert all(any(str(path) in line for path in paths) for line in lines)
        return code

    return hold


def hold_all(holds, path, sound, out):
    """Hold every verb that only reads to what it promises; tell whether the file is refused."""
    codes = {holds("inspect", (0, 2), path)}
    assert (holds("diagnose --static", (0, 1, 2, 3), path) == 2) is (2 in codes)
    if sound.suffix != ".keras":  # whose values another process reads, each time anew
        holds("diff", (0, 1, 2), sound, path)
    holds("lift", (2,), path, out / path.name)
    assert not list(out.iterdir())
    return 2 in codes


@pytest.mark.parametrize("name", ["counter", "no_signatures", "control_flow", "tf1"])
def test_saved_models(saved_models, tmp_path, holds, name):
    folder, out = tmp_path / "m", tmp_path / "out"
    out.mkdir()
    shutil.copytree(saved_models[name], folder)
    content, rng = (folder / "saved_model.pb").read_bytes(), random.Random(name)
    for number in range(24):
        message = MESSAGES["SavedModel"].FromString(content)
        (meta_graph,) = message.meta_graphs
        if number % 2:
            rng.choice(META_DAMAGES)(rng, meta_graph)
        if number % 3:
            rng.choice(GRAPH_DAMAGES)(rng, meta_graph.graph_def)
        (folder / "saved_model.pb").write_bytes(message.SerializeToString())
        hold_all(holds, folder, saved_models[name], out)


@pytest.fixture(scope="module")
def loop(tf):
    """A TF1 graph with a loop, a branch and a weight."""
    v1 = tf.compat.v1
    before = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            x = v1.placeholder(tf.float32, [2], name="x")
            weight = v1.get_variable("weight", [2], use_resource=True)
            branch = v1.cond(tf.reduce_sum(x) > 0, lambda: x + weight, lambda: x * 3.0)
            body = lambda i, y: (i + 1, y * 2.0)  # noqa: E731
            tf.identity(v1.while_loop(lambda i, _: i < 3, body, [0, branch])[1], name="y")
        return graph.as_graph_def()
    finally:
        if before:
            v1.enable_control_flow_v2()


def _importable(tf, content):
    graph_def = tf.compat.v1.GraphDef.FromString(content)
    with tf.Graph().as_default(), contextlib.suppress(ValueError, TypeError):
        tf.import_graph_def(graph_def, name="")
        return True
    return False


def test_graphs(tf, loop, tmp_path, holds):
    """What is refused, TensorFlow does not import either; and it refuses what reading does."""
    sound, path, out = tmp_path / "sound.pb", tmp_path / "m.pb", tmp_path / "out"
    out.mkdir()
    sound.write_bytes(loop.SerializeToString())
    assert _importable(tf, sound.read_bytes())
    assert holds("inspect", (0,), sound) == 0
    rng, refused = random.Random("graphs"), 0
    for _ in range(80):
        graph = MESSAGES["GraphDef"].FromString(sound.read_bytes())
        rng.choice(GRAPH_DAMAGES)(rng, graph)
        path.write_bytes(graph.SerializeToString())
        if hold_all(holds, path, sound, out):
            refused += 1
            assert not _importable(tf, path.read_bytes())
    assert refused > 20


EDGES = {
    "input": ("nowhere:0", "takes 'nowhere'"),
    "control input": ("^nowhere", "takes 'nowhere'"),
    "itself": ("y", "run after themselves"),
    "control, itself": ("^y", "run after themselves"),
}


@pytest.mark.parametrize("edge", EDGES)
def test_an_edge_that_no_run_comes_past(tf, edge):
    given, words = EDGES[edge]
    graph = MESSAGES["GraphDef"]()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    node = graph.node.add(name="y", op="Identity", input=[given if given[0] != "^" else "x"])
    node.attr["T"].type = 1
    if given[0] == "^":
        node.input.append(given)
    assert not _importable(tf, graph.SerializeToString())
    with pytest.raises(ModelFileError, match=words):
        read_graph(graph)


@pytest.fixture
def changed(saved_models, tmp_path):
    """A copy of the SavedModel of the counter, changed."""
    shutil.copytree(saved_models["counter"], tmp_path / "m")
    path = tmp_path / "m" / "saved_model.pb"

    def change(edit):
        message = MESSAGES["SavedModel"].FromString(path.read_bytes())
        edit(message.meta_graphs[0])
        path.write_bytes(message.SerializeToString())
        return tmp_path / "m"

    return change


def _call_what_is_not_there(meta_graph):
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.op.endswith("PartitionedCall"):
                node.attr["f"].func.name = "nowhere"
    for node in meta_graph.graph_def.node:
        if node.op.endswith("PartitionedCall"):
            node.attr["f"].func.name = "nowhere"


def _give_back_what_is_not_there(meta_graph):
    for function in meta_graph.graph_def.library.function:
        for name in function.ret:
            function.ret[name] = "nowhere:y:0"


def _take_what_is_not_there(meta_graph):
    for function in meta_graph.graph_def.library.function:
        for node in function.node_def:
            if node.input:
                node.input[0] = "nowhere:y:0"


LOST = {
    "call": (_call_what_is_not_there, "calls the function 'nowhere'"),
    "ret": (_give_back_what_is_not_there, "gives back 'nowhere:y:0'"),
    "input": (_take_what_is_not_there, "takes 'nowhere', which is not there \\(in its function"),
}


@pytest.mark.parametrize("lost", LOST)
def test_a_function_that_cannot_run(tf, changed, lost):
    edit, words = LOST[lost]
    folder = changed(edit)
    with pytest.raises(Exception):  # noqa: B017 - of many kinds
        tf.saved_model.load(folder).signatures["step"](x=tf.ones([1, 3]))
    with pytest.raises(ModelFileError, match=words):
        read_graph(folder)


def _broken_function(meta_graph):
    library = meta_graph.graph_def.library.function
    function = library.add()
    function.signature.name = "unused"
    function.node_def.add(name="y", op="NoOp", input=["^nowhere"])


def test_what_only_the_saver_calls_may_be_missing(tf, changed):
    """TensorFlow 2 takes functions and values from the file, and no main graph."""

    def edit(meta_graph):
        nodes = {node.name: node for node in meta_graph.graph_def.node}
        saver = meta_graph.saver_def
        for tensor in (saver.save_tensor_name, saver.restore_op_name):
            nodes[tensor.partition(":")[0]].attr["f"].func.name = "nowhere"

    folder = changed(edit)
    tf.saved_model.load(folder).signatures["step"](x=tf.ones([1, 3]))
    assert read_graph(folder).signatures


@pytest.mark.parametrize("command", [["diagnose"], ["cure"]])
def test_an_edge_that_only_the_saver_takes_may_lead_nowhere(tf, changed, tmp_path, capsys, command):
    """TensorFlow serves the model; the converter imports all of it, and what is saved anew."""

    def edit(meta_graph):
        saver = meta_graph.saver_def.save_tensor_name.partition(":")[0]
        (node,) = (node for node in meta_graph.graph_def.node if node.name == saver)
        node.input[-1] = "nowhere"

    folder = changed(edit)
    tf.saved_model.load(folder).signatures["step"](x=tf.ones([1, 3]))
    with pytest.raises(ValueError, match="Unknown input node 'nowhere'"):
        tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()
    assert read_graph(folder).signatures
    if command == ["diagnose"]:
        assert main([*command, str(folder)]) == 1
        (_, told) = capsys.readouterr().out.split("TensorFlow loads it without: ")
        command = told.partition(" saves it anew")[0].split()[1:]
        command[2] = str(tmp_path / "model.tflite")
    else:
        command = [*command, str(folder), str(tmp_path / "model.tflite")]
    assert main(command) == 0
    assert "with default delegates and plain kernels" in capsys.readouterr().out


def test_a_function_of_objects_that_nothing_calls(tf, changed):
    folder = changed(_broken_function)
    with pytest.raises(Exception, match="nowhere"):
        tf.saved_model.load(folder)
    with pytest.raises(ModelFileError, match=r"takes 'nowhere'.*function unused\): save it again"):
        read_graph(folder)


def test_a_function_of_tensorflow_1_that_nothing_calls(tf, saved_models, tmp_path):
    shutil.copytree(saved_models["tf1"], tmp_path / "m")
    path = tmp_path / "m" / "saved_model.pb"
    message = MESSAGES["SavedModel"].FromString(path.read_bytes())
    _broken_function(message.meta_graphs[0])
    path.write_bytes(message.SerializeToString())
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "m"))
    assert read_graph(tmp_path / "m").signatures
    message.meta_graphs[0].graph_def.node.add(name="more", op="unused")
    path.write_bytes(message.SerializeToString())
    with tf.compat.v1.Session(graph=tf.Graph()) as session, pytest.raises(Exception):  # noqa: B017
        tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path / "m"))
    with pytest.raises(ModelFileError, match="takes 'nowhere'"):
        read_graph(tmp_path / "m")


def test_a_gradient_may_name_an_op_in_the_place_of_a_function(tf):
    graph = MESSAGES["GraphDef"]()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    node = graph.node.add(name="y", op="SymbolicGradient", input=["x", "x"])
    node.attr["f"].func.name = "Square"
    node.attr["Tin"].list.type.extend([1, 1])
    node.attr["Tout"].list.type.append(1)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        sound = tf.compat.v1.GraphDef.FromString(graph.SerializeToString())
        attributes = sound.node[1].attr["f"].func.attr
        attributes["T"].type = 1
        tf.import_graph_def(sound, name="")
        assert session.run("y:0", {"x:0": 3.0}) == 18
    assert read_graph(graph)


def test_a_signature_of_tensors_that_are_not_there(tf, changed):
    def edit(meta_graph):
        meta_graph.signature_def["step"].outputs["y"].name = "nowhere:0"

    folder = changed(edit)
    with tf.compat.v1.Session(graph=tf.Graph()) as session, pytest.raises(Exception) as caught:
        tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        session.run("nowhere:0")
    assert "nowhere" in str(caught.value)
    with pytest.raises(ModelFileError, match="its signature step names the tensor 'nowhere:0'"):
        read_graph(folder)


def test_a_composite_tensor_has_no_name_of_its_own(changed):
    def edit(meta_graph):
        meta_graph.signature_def["step"].outputs["more"].ClearField("encoding")

    assert read_graph(changed(edit)).signature("step")


def test_object_graphs_that_lead_nowhere_or_round(saved_models, tmp_path):
    shutil.copytree(saved_models["no_signatures"], tmp_path / "m")
    path = tmp_path / "m" / "saved_model.pb"
    whole = read_graph(tmp_path / "m").variables
    message = MESSAGES["SavedModel"].FromString(path.read_bytes())
    objects = message.meta_graphs[0].object_graph_def.nodes
    for number in (0, 1, len(objects), 2**31 - 1, -1, -(2**31)):
        for owner in (0, 1):
            objects[owner].children.add(node_id=number, local_name=f"more{number}")
    path.write_bytes(message.SerializeToString())
    assert read_graph(tmp_path / "m").variables == whole


def test_branches_nested_without_end_are_looked_at_once(changed, holds):
    """What took the square of their number would not come to an end here."""

    def edit(meta_graph):
        library = meta_graph.graph_def.library
        for number in range(8000):
            function = library.function.add()
            function.signature.name = f"branch{number}"
            function.signature.input_arg.add(name="x", type=1)
            if number:
                node = function.node_def.add(name="y", op="If", input=["x", "x"])
                for which in ("then_branch", "else_branch"):
                    node.attr[which].func.name = f"branch{number - 1}"
        for function in library.function[:4]:  # those of the model's own
            node = function.node_def.add(name="more", op="If")
            node.attr["then_branch"].func.name = "branch7999"

    folder = changed(edit)
    holds("diagnose --static", (0, 1, 2, 3), folder)
    assert "If" in read_graph(folder).op_counts("step")


VALUES = (None, True, -1, 2**80, "", "\x1b[31m", [], {}, [[[]]], ["a", 0, 0], "Lambda", "n" * 5000)


def _places(value, path=()):
    if path:
        yield path
    steps = value.items() if isinstance(value, dict) else ()
    for key, inner in steps or (enumerate(value) if isinstance(value, list) else ()):
        yield from _places(inner, (*path, key))


def _damage_config(config, rng):
    places = list(_places(config))
    path, other = rng.choice(places), rng.choice(places)
    parent, theirs = config, config
    for key in path[:-1]:
        parent = parent[key]
    for key in other:
        theirs = theirs[key]
    kind = rng.randrange(4)
    if kind == 0:
        del parent[path[-1]]
    elif kind == 1:
        parent[path[-1]] = json.loads(json.dumps(theirs))
    else:
        parent[path[-1]] = rng.choice(VALUES)


def test_keras_archives(keras_models, tmp_path, holds):
    sound, path, out = keras_models["functional"].keras, tmp_path / "m.keras", tmp_path / "out"
    out.mkdir()
    with zipfile.ZipFile(sound) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    rng = random.Random("keras")
    for _ in range(40):
        config = json.loads(parts["config.json"])
        _damage_config(config, rng)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in (parts | {"config.json": json.dumps(config)}).items():
                archive.writestr(name, content)
        hold_all(holds, path, sound, out)


def test_a_layer_that_takes_from_none(tf, keras_models, tmp_path):
    with zipfile.ZipFile(keras_models["functional"].keras) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b'["left", 0, 0]', b'["nowhere", 0, 0]'))
    with pytest.raises(ValueError, match="Unknown layer: nowhere"):
        tf.keras.models.load_model(path)
    with pytest.raises(ModelFileError, match="layer join takes what 'nowhere' gives, which is not"):
        read_graph(path)


def test_what_keras_does_not_look_at(tf, keras_models, tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(keras_models["sequential"].keras) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (parts | {"metadata.json": b"[3]"}).items():
            archive.writestr(name, content)
    assert tf.keras.models.load_model(path)
    assert read_graph(path).producer is None


BESIDE = ("keras_metadata.pb", "fingerprint.pb", "assets.extra/tf_serving_warmup_requests")


@pytest.mark.parametrize("content", [b"", b"\xff\x00junk" * 20])
@pytest.mark.parametrize("name", BESIDE)
def test_what_lies_beside_a_model_and_is_damaged_is_passed_over(
    tf, saved_models, tmp_path, name, content
):
    """As TensorFlow passes it over."""
    folder = tmp_path / "m"
    shutil.copytree(saved_models["counter"], folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    assert tf.saved_model.load(folder).signatures["step"]
    graph = read_graph(folder)
    assert graph.variables == read_graph(saved_models["counter"]).variables
    assert len(example_calls(graph, graph.signature("step"), 2).calls) == 2

"""What to do about a finding: code made for the model in question, and text where none helps.

Each function returns text that can be pasted into a program: sentences are comments in it. Names
and paths out of a file enter it as Python literals, so that none of them can become code. What is
the author's own is called the same throughout: ``self`` (the object that owns the variable),
``new_value``, ``index``, ``x``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from varhandle.display import printable
from varhandle.facts.dtypes import DTYPES, dtype_of
from varhandle.graph import Graph, Shape, Variable
from varhandle.graph.signature_inference import placeholders, sinks

_GRAPH = 'graph_def = tf.compat.v1.GraphDef.FromString(open({path!r}, "rb").read())'


def _code(*lines: str) -> str:
    return "\n".join(lines)


def _comment(text: object) -> str:
    """Write a name out of a file so that it cannot leave the comment that it stands in."""
    return printable(text)


def _attribute(name: str) -> str:
    """Return a Python name for the attribute that holds a variable."""
    last = name.rpartition("/")[2]
    cleaned = re.sub(r"\W", "_", last, flags=re.ASCII)
    return cleaned if cleaned[:1].isalpha() else f"v_{cleaned}"


def _dtype(variable: Variable) -> str:
    """Return TensorFlow's name of a dtype; a file may hold any text in its place."""
    return variable.dtype if variable.dtype in DTYPES else "float32"


def _narrow_dtype(variable: Variable) -> str:
    """Write a dtype as code; ``tf`` has no name for those of a few bits."""
    name = _dtype(variable)
    return (
        repr(name)
        if name.startswith(("int4", "uint4", "int2", "uint2", "float8", "float4"))
        else f"tf.{name}"
    )


def _sized(shape: Shape | None) -> list[int]:
    """Return a shape as a list, with 1 in the place of what is not known."""
    return [1 if size is None else size for size in shape or ()]


def one_signature(path: str, signature: str) -> str:
    """Convert only one signature of a SavedModel."""
    return _code(
        "import tensorflow as tf",
        "",
        f"converter = tf.lite.TFLiteConverter.from_saved_model({path!r}, "
        f"signature_keys=[{signature!r}])",
        'open("model.tflite", "wb").write(converter.convert())',
    )


def convert_here(path: str, signature: str | None, since: str) -> str:
    """Convert with a TensorFlow that takes the model as it is."""
    name = "serving_default" if signature is None else signature
    return _code(
        f"# TensorFlow {since} and later convert it as it is:",
        one_signature(path, name),
    )


def several_signatures(path: str, signatures: Sequence[str]) -> str:
    """Convert signatures that share state into one file."""
    return _code(
        "# Convert them together, and get all of their runners from one interpreter:",
        "import tensorflow as tf",
        "",
        f"converter = tf.lite.TFLiteConverter.from_saved_model({path!r}, "
        f"signature_keys={list(signatures)!r})",
        'open("model.tflite", "wb").write(converter.convert())',
    )


def supported_dtype(variables: Sequence[Variable]) -> str:
    """Hold the state in a dtype that VAR_HANDLE carries, and cast at the edges."""
    blocks = ["# In the class of the model:", "import tensorflow as tf"]
    for variable in variables:
        name, dtype = _attribute(variable.name), variable.dtype
        if dtype == "string":
            blocks.append(_words(variable))
            continue
        found = dtype_of(dtype)
        wide = found.advised
        loss = f"; {found.loss}" if found.loss else ""
        zeros = f"tf.zeros({_sized(variable.shape)}, tf.{wide})"
        blocks.append(
            _code(
                f"self.{name} = tf.Variable({zeros}, name={variable.name!r})  "
                f"# was {_comment(dtype)}; keep your own first value{loss}",
                f"value = tf.cast(self.{name}, {_narrow_dtype(variable)})  # where it is read",
                f"self.{name}.assign(tf.cast(new_value, tf.{wide}))  # where it is assigned",
            )
        )
    return "\n\n".join(blocks)


def _words(variable: Variable) -> str:
    name = _attribute(variable.name)
    return _code(
        "# No variable of strings converts: keep a number that stands for the string.",
        f"self.{name} = tf.Variable(tf.zeros({_sized(variable.shape)}, tf.int64), "
        f"name={variable.name!r})",
        f"self.{name}.assign(tf.cast(index, tf.int64))  # the strings themselves stay outside",
    )


def whole_update(variables: Sequence[Variable], ops: Mapping[str, Sequence[str]]) -> str:
    """Compute the whole new value, and assign it at once."""
    blocks = ["# Compute the whole new value, and assign it at once:", "import tensorflow as tf"]
    for variable in variables:
        target = f"self.{_attribute(variable.name)}"
        for op in ops[variable.name]:
            blocks.append(_code(f"# instead of {_comment(op)}", _update(target, op)))
    return "\n\n".join(blocks)


_SCATTERS = {"Add": "add", "Sub": "sub", "Min": "min", "Max": "max", "Update": "update"}


def _update(target: str, op: str) -> str:
    """Return the plain assign that does what an op does."""
    scatter = re.fullmatch(r"ResourceScatter(Nd)?(Add|Sub|Min|Max|Update)", op)
    if scatter:
        function = f"tf.tensor_scatter_nd_{_SCATTERS[scatter[2]]}"
        return f"{target}.assign({function}({target}, index, new_value))"
    for beginning, lines in _UPDATES.items():
        if op.startswith(beginning):
            return _code(*lines).replace("TARGET", target)
    return _code(*_REFERENCE)


_BY_PARTS = "TARGET.assign(tf.tensor_scatter_nd_update(TARGET, index, changed))"
_OUTSIDE = ("# Draw the random numbers outside, and pass them in as an input.",)
_UPDATES: dict[str, tuple[str, ...]] = {
    "ResourceScatterMul": ("changed = tf.gather_nd(TARGET, index) * new_value", _BY_PARTS),
    "ResourceScatterDiv": ("changed = tf.gather_nd(TARGET, index) / new_value", _BY_PARTS),
    "ResourceStridedSliceAssign": (_BY_PARTS.replace("changed", "new_value"),),
    "ResourceCountUpTo": ("TARGET.assign_add(1)",),
    "Resource": (
        "# Write the step out with arithmetic; gradient and rate are your own:",
        "TARGET.assign_sub(rate * gradient)",
    ),
    "Rng": _OUTSIDE,
    "Stateful": _OUTSIDE,
}
"""What to write in the place of the ops that begin so; the first that fits."""

_REFERENCE = (
    "# A reference variable of TensorFlow 1 that is written to does not convert; make it a",
    "# resource variable before the graph is built, and save again:",
    "tf.compat.v1.enable_resource_variables()",
)


def read_then_gather(variables: Sequence[Variable]) -> str:
    """Read the table, and gather from what was read."""
    lines = ["# Read the table first, and look up in what was read:", "import tensorflow as tf", ""]
    for variable in variables:
        name = _attribute(variable.name)
        lines.append(f"rows = tf.gather_nd(self.{name}.read_value(), index)")
    return _code(*lines)


def fixed_shape(variables: Sequence[Variable]) -> str:
    """Give the state a shape of its own: as long as it may get, with a count beside it."""
    blocks = ["# Make it as long as it may get, and count how much of it is in use:"]
    blocks.append("import tensorflow as tf\n\nlongest = 100  # rows that you need at most")
    for variable in variables:
        name = _attribute(variable.name)
        rest = _sized(variable.shape)[1:]
        dtype = _dtype(variable)
        blocks.append(
            _code(
                f"self.{name} = tf.Variable(tf.zeros({_rows('longest', rest)}, tf.{dtype}), "
                f"name={variable.name!r})",
                f"self.{name}_used = tf.Variable(0, name={variable.name + '_used'!r})",
                "# where a row is added:",
                f"at = tf.range(longest) == self.{name}_used",
                f"at = tf.reshape(at, {_rows('longest', [1] * len(rest))})",
                f"self.{name}.assign(tf.where(at, new_value, self.{name}))",
                f"self.{name}_used.assign_add(1)",
            )
        )
    return "\n\n".join(blocks)


def _rows(first: str, rest: Sequence[int]) -> str:
    return f"[{', '.join((first, *map(str, rest)))}]"


def keras_export(path: str, signature: str | None, variables: Sequence[Variable]) -> str:
    """Save a Keras 3 model so that the values are found."""
    name = signature or "serving_default"
    return _code(
        "# Save it again. A Keras model, from the program that has it:",
        'model.export("exported")',
        "",
        "# Or, where a tf.Module of your own owns the layers, hold the variables before saving:",
        "import tensorflow as tf",
        "",
        "module._variables = [v.value for v in model.variables]  "
        f"# {len(variables)} of them are lost in this file",
        f'tf.saved_model.save(module, "exported", signatures={{{name!r}: signature}})',
        cured(path, signature),
    )


def cured(path: str, signature: str | None) -> str:
    """Say, as a comment, how the tool cures a file whose program is not at hand."""
    return _code(
        "",
        "# Without the program that made the file, let the tool try to rebuild and to prove it:",
        f"# {cure_command(path, signature)}",
    )


def cure_command(path: str, signature: str | None, trust: bool = False) -> str:
    """Make the file on the command line."""
    named = f" --signature {_shell(signature)}" if signature else ""
    return f"varhandle cure {_shell(path)} model.tflite{named}{' --trust' if trust else ''}"


def tracked(variables: Sequence[Variable]) -> str:
    """Hold the variable as an attribute of what is saved."""
    lines = ["# Let the object that you save own the variable:", "import tensorflow as tf", ""]
    for variable in variables:
        dtype = _dtype(variable)
        value = f"tf.zeros({_sized(variable.shape)}, tf.{dtype})"
        lines.append(
            f"self.{_attribute(variable.name)} = tf.Variable({value}, name={variable.name!r})"
        )
    return _code(*lines)


def not_in_training(signature: str | None) -> str:
    """Trace a Keras model for inference."""
    name = signature or "serving_default"
    return _code(
        "# Unless you train on the device, save it for inference. A Keras model:",
        'model.export("inference")',
        "",
        "# Or, where a tf.Module of your own calls the model (spec: the TensorSpec of its input):",
        "import tensorflow as tf",
        "",
        "module = tf.Module()",
        "module._variables = [v.value for v in model.variables]",
        "module.step = tf.function(lambda x: model(x, training=False), input_signature=[spec])",
        f'tf.saved_model.save(module, "inference", signatures={{{name!r}: module.step}})',
    )


def reset_older_state() -> str:
    """Begin a new sequence on a file whose ops keep a state of their own."""
    return _code(
        "# before each new sequence, on the interpreter that the signature runner came from:",
        "interpreter.reset_all_variables()",
    )


def table_outside(signature: str | None) -> str:
    """Look words up before the model is called."""
    where = f" {_comment(signature)}" if signature else ""
    return f"# For such a target look the words up before you call{where}, and pass the numbers in."


def table_as_tensors() -> str:
    """Replace a resource by tensors."""
    return _code(
        "# A fixed table of numbers: two constants.",
        "import tensorflow as tf",
        "",
        "at = tf.argmax(tf.cast(keys == x, tf.int32))",
        "found = tf.where(tf.reduce_any(keys == x), tf.gather(values, at), default)",
        "# A table that changes, an iterator or a queue: keep it outside, and pass its values in.",
    )


def lift(path: str, signature: str | None) -> str:
    """Take the state out of the file."""
    if path.endswith(".tflite"):
        return f"varhandle lift {_shell(path)} stateless.tflite"
    named = f" --signature {_shell(signature)}" if signature else ""
    return f"varhandle cure {_shell(path)} stateless.tflite --target builtin-only{named}"


def _shell(text: str) -> str:
    """Quote a word for a shell; one with control characters as bash's ``$'…'`` takes it."""
    if re.fullmatch(r"[\w@%+=:,./-]+", text, flags=re.ASCII):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "'\"'\"'") + "'"
    return f"${printable(text, None)!r}".replace("\\\\", "\\")


def micro_store(count: int) -> str:
    """Give TensorFlow Lite Micro a place for variables."""
    return _code(
        "// beside the interpreter, in C++:",
        "auto* allocator = tflite::MicroAllocator::Create(arena, arena_size);",
        f"auto* variables = tflite::MicroResourceVariables::Create(allocator, {count});",
        "tflite::MicroInterpreter interpreter(model, resolver, allocator, variables);",
    )


def convert_again() -> str:
    """A file without its values cannot be mended; make it anew."""
    return (
        "# The values are not in this file. Convert again, from Model.export, from_keras_model, "
        "or a\n# module that holds its variables; then run: varhandle diagnose on what you "
        "convert from."
    )


def without_flex(variables: Sequence[Variable]) -> str:
    """Convert with builtin ops, the state in a dtype that they take."""
    again = _code(
        "# Convert again without SELECT_TF_OPS; until then its interpreter needs the Flex",
        "# delegate, which only your own build of TensorFlow Lite can have.",
    )
    wide = [v for v in variables if v.dtype in DTYPES and not DTYPES[v.dtype].carried]
    return f"{again}\n{supported_dtype(wide)}" if wide else again


def without_custom() -> str:
    """Convert with builtin ops."""
    return (
        "# Convert again without converter.allow_custom_ops: the error that it hid names the "
        "variable.\n# Hold that one in float32, int32 or int64, and cast where it is read."
    )


def state_outside(path: str, signature: str | None) -> str:
    """Keep state in float, outside the quantized file."""
    return _code(
        "# Keep the state in float32: convert without quantization, lift the state out, and",
        "# quantize that file with calls that carry the state:",
        lift(path, signature),
    )


def mend_frozen(path: str, family: str, nodes: Sequence[str]) -> str:
    """Mend a graph in which a freezer left ops on a handle behind."""
    opening = ["import tensorflow as tf", "", _GRAPH.format(path=path)]
    writing = 'open("mended.pb", "wb").write(graph_def.SerializeToString())'
    if family == "frozen-but-assigned":
        return _code(
            "# Take the assigns out, which inference does not need:",
            *opening,
            f"assigns = {list(nodes)!r}",
            "kept = [node for node in graph_def.node if node.name not in assigns]",
            "for node in kept:",
            "    inputs = [name for name in node.input if name.lstrip('^') not in assigns]",
            "    del node.input[:]",
            "    node.input.extend(inputs)",
            "del graph_def.node[:]",
            "graph_def.node.extend(kept)",
            writing,
        )
    change = _TO_GATHER if family == "gather-from-frozen-table" else _TO_IDENTITY
    return _code(
        "# Let them take the constant as the tensor that it is:",
        *opening,
        "for node in list(graph_def.node):",
        f"    if node.name in {list(nodes)!r}:",
        *change,
        writing,
    )


_TO_IDENTITY = (
    '        dtype = node.attr["dtype"].type',
    "        node.attr.clear()",
    '        node.op, node.attr["T"].type = "Identity", dtype',
)
_TO_GATHER = (
    '        dtype, indices = node.attr["dtype"].type, node.attr["Tindices"].type',
    "        node.attr.clear()",
    '        if node.op == "ResourceGatherNd":',
    '            node.op = "GatherNd"',
    "        else:",
    '            axis = graph_def.node.add(op="Const", name=node.name + "/axis")',
    '            axis.attr["dtype"].type = node.attr["Taxis"].type = tf.int32.as_datatype_enum',
    '            axis.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(0))',
    '            node.op = "GatherV2"',
    "            node.input.append(axis.name)",
    '        node.attr["Tparams"].type, node.attr["Tindices"].type = dtype, indices',
)


def freeze(graph: Graph) -> str:
    """Put the values of a checkpoint into a GraphDef."""
    outputs = list(sinks(graph))
    restore = _restore(graph)
    freezing = (
        "    frozen = tf1.graph_util.convert_variables_to_constants("
        f"session, graph_def, {outputs!r})"
    )
    writing = 'open("frozen.pb", "wb").write(frozen.SerializeToString())'
    if restore is None:
        return _code(
            "# This file has no way to restore values: freeze where the session is.",
            "import tensorflow as tf",
            "",
            "tf1 = tf.compat.v1",
            "graph_def = session.graph.as_graph_def()",
            freezing.strip(),
            writing,
        )
    target, feed = restore
    return _code(
        "import tensorflow as tf",
        "",
        "tf1 = tf.compat.v1",
        'checkpoint = "model.ckpt"  # the checkpoint that was saved with this graph',
        _GRAPH.format(path=graph.source),
        "with tf.Graph().as_default(), tf1.Session() as session:",
        '    tf.import_graph_def(graph_def, name="")',
        f"    session.run({target!r}, {{{feed + ':0'!r}: checkpoint}})",
        freezing,
        writing,
        "",
        "# Or, with the checkpoint beside the file, let the tool do it, and prove the result:",
        f"# {cure_command(graph.source, None)}",
    )


def freeze_with_functions(graph: Graph) -> str:
    """Freeze a graph whose reads are in functions: only TensorFlow 2's freezer follows those."""
    names = [variable.name for variable in graph.variables]
    return _code(
        "# Save a SavedModel from the session, and convert that: its importer follows the calls.",
        "import tensorflow as tf",
        "",
        "tf1 = tf.compat.v1",
        f"inputs = {{name: session.graph.get_tensor_by_name(name + ':0') "
        f"for name in {list(placeholders(graph))!r}}}",
        f"outputs = {{name: session.graph.get_tensor_by_name(name + ':0') "
        f"for name in {list(sinks(graph))!r}}}",
        f'tf1.saved_model.simple_save(session, "saved", inputs, outputs)  # with {len(names)} '
        f"variable{'' if len(names) == 1 else 's'}",
        'converter = tf.lite.TFLiteConverter.from_saved_model("saved")',
        'open("model.tflite", "wb").write(converter.convert())',
    )


def _restore(graph: Graph) -> tuple[str, str] | None:
    """Return the node that restores all variables, and the one that takes the checkpoint's path."""
    nodes = graph.functions[0].nodes
    restores = {node.name: node for node in nodes if node.op == "RestoreV2" and node.sources}
    if not restores:
        return None
    after = set(restores)
    assigns = set()
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        if node.op in {"Assign", "AssignVariableOp"} and len(node.sources) > 1:
            source = by_name.get(node.sources[1])
            while source is not None and len(source.sources) == 1 and source.name not in after:
                source = by_name.get(source.sources[0])
            if source is not None and source.name in after:
                assigns.add(node.name)
    groups = [n for n in nodes if n.op == "NoOp" and assigns & set(n.control_inputs)]
    if not groups:
        return None
    target = max(groups, key=lambda node: len(assigns & set(node.control_inputs)))
    return target.name, next(iter(restores.values())).sources[0]

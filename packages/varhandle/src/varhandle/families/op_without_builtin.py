"""An op, no variable's, that the converter has no builtin for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from varhandle.display import join_names
from varhandle.facts.dtypes import dtype_of
from varhandle.facts.targets import DEFAULT_TARGET, find_target
from varhandle.families.base import Family
from varhandle.families.dynamic_shape import FAMILY as DYNAMIC_SHAPE
from varhandle.families.log_index import LogDiagnosis, MatchIndex, Meaning, is_random, role
from varhandle.families.log_patterns import Match, Pattern
from varhandle.families.tensor_list import FAMILY as TENSOR_LIST

_NARROW = ("float16", "bfloat16", "float64", "int16", "uint16", "uint32", "uint64")
"""Dtypes that many builtins do not take."""

_BY_ANOTHER_NAME = frozenset(
    {
        *("matmul", "biasadd", "maxpool", "avgpool", "depthwiseconv2dnative", "sigmoid", "realdiv"),
        *("conv2dbackpropinput", "fusedbatchnorm", "identity", "concat", "addn", "max", "min"),
        *("einsum", "roll"),
    }
)
"""Ops, in small letters and without a version, whose builtins are called otherwise."""

_OF_VARIABLES = ("handle", "read", "assign", "update", "gather", "reference", "builtin")

_LIST = r"(?P<names>(?:(?:tf\.)?[A-Z]\w{1,60})(?:,(?:tf\.)?[A-Z]\w{1,60}){0,60})"
_ANY_CASE = f"(?i:{_LIST})"
_TOCO = r".{0,600}?operatorsforwhichyouwillneedcustomimplementations:" + _ANY_CASE


def _in_log(index: MatchIndex) -> Iterator[LogDiagnosis]:
    if index.refused.has(*_OF_VARIABLES) or index.not_imported.has(*_OF_VARIABLES):
        return  # what is refused beside a variable is of its dtype as a rule
    if index.draws_in_training or index.of("folding"):
        return  # a random draw's neighbors are of the same layer; the other names the op itself
    found: dict[str, Match] = {}
    in_loop = bool(index.of("tensor-list", "tensor-list-op"))  # that is the family of these
    for line in index.of("refused", "legalize", "unsupported-ops", "custom-ops", "toco-ops"):
        if in_loop and line.kind == "legalize":
            continue  # an echo: what is done to all lists together did not succeed
        for op in (line.get("op"), *listed_ops(line)):
            if op and not (role(op) or is_random(op) or (in_loop and _of_loop(op))):
                found.setdefault(op, line)
    if index.refused.has("table"):
        found.pop("Placeholder", None)  # of the table's handle
    lists = [
        op
        for op, line in found.items()
        if op.startswith(("TensorList", "EmptyTensorList")) and line.kind != "toco-ops"
    ]
    if lists:
        message = (
            f"{join_names(f'tf.{op}' for op in lists)}: the converter makes plain tensors of a list"
            " of tensors, as the loop of a recurrent layer keeps one, and did not do so here."
        )
        fix = f"Leave _experimental_lower_tensor_list_ops as it is (True). {TENSOR_LIST.fix}"
        yield TENSOR_LIST.in_log(125, found[lists[0]], message, fix, with_older=True)
        found = {op: line for op, line in found.items() if not _of_loop(op)}
    if not found:
        return
    line = min(found.values(), key=lambda line: line.line_number)
    named = [it for it in index.of("op-types") if it.get("op") in found]
    types = [it for it in named if has_builtin(it.get("op"))]
    dtypes = [name for name in _NARROW if any(name in _dtypes(it) for it in types)]
    names = join_names(f"tf.{op}" if op[0].isupper() else op for op in found)
    has = f"{names}: the converter has no builtin op for {'it' if len(found) == 1 else 'them'}"
    narrow = {it.get("op") for it in types if any(_dtypes(it))}
    if narrow != set(found) and any(_is_open(it.get("types")) for it in types):
        message = f"{has} as long as a size is open (? in the types that it prints)."
        yield DYNAMIC_SHAPE.in_log(115, line, message)
    elif dtypes and narrow == set(found):
        fix = f"Build the model in float32: the same weights convert there. {FAMILY.fix}"
        yield FAMILY.in_log(185, line, f"{has} in {' or '.join(dtypes)}.", fix)
    else:
        custom = {op for it in index.of("custom-ops") for op in listed_ops(it)}
        flex = not set(found) <= custom  # of a custom op even Flex has no kernel
        fix = _OF_COUNTS if set(found) == {"DenseBincount"} else _OTHERWISE
        yield FAMILY.in_log(185, line, f"{has}.", fix + _FLEX * flex, with_older=flex)


def has_builtin(op: str) -> bool:
    """Tell whether an op of TensorFlow can be converted: in float32 and with known sizes."""
    bare = re.sub(r"v\d$", "", op.lower().removeprefix("tf."))
    return bare in _BY_ANOTHER_NAME or bare in {
        name.replace("_", "").lower() for name in find_target(DEFAULT_TARGET).ops
    }


def _of_loop(op: str) -> bool:
    parts = ("tensorlist", "tensorarray", "while", "enter", "exit", "loopcond", "nextiteration")
    return op.lower().removeprefix("empty").removeprefix("stateless").startswith(parts)


def listed_ops(line: Match) -> list[str]:
    """Return the ops in a list that a line gives, as TensorFlow names them."""
    names = (op.removeprefix("tf.") for op in line.get("names").split(","))
    # As TensorFlow writes them, and not prose.
    return [op for op in names if op[:1].isupper() and op.lower() != "none"]


def _dtypes(line: Match) -> list[str]:
    written = re.findall(r"(?:^|[x<])([a-z]+\d+)>", line.get("types").lower())
    return [name if (name := dtype_of(it).name) in _NARROW else "" for it in written]


def _is_open(types: str) -> bool:
    """Tell whether a size after the first, which is the batch, is not known."""
    return re.search(r"(?:^|<)[\d?]+x(?:\d+x)*\?", types.lower()) is not None


_OF_PYTORCH = (
    "Write the module with other ops of PyTorch: a Fourier transform, for one, is a product with"
    " cosines and sines. No variable is at fault."
)
_OTHERWISE = (
    "That is no matter of variables: write it with other ops, or leave it to the program around the"
    " model."
)
_OF_COUNTS = (
    'It counts ids, as a layer with output_mode="multi_hot" or "count" does. Let a lookup layer'
    ' give ids with output_mode="int", leave CategoryEncoding out, and write in its place'
    " keras.ops.max(keras.ops.one_hot(ids, depth), axis=-2) for multi_hot, or"
    " keras.ops.sum(keras.ops.one_hot(ids, depth), axis=-2) for count, where depth is"
    " layer.vocabulary_size(), or num_tokens of CategoryEncoding."
)
_FLEX = (
    " SELECT_TF_OPS converts it for a runtime that has the Flex delegate, which the Python packages"
    " no longer have."
)

FAMILY = Family(
    id="op-without-builtin",
    order=180,
    what="The converter stops at an op that it has no builtin op for.",
    cause="TensorFlow has more ops than .tflite files, and a builtin is for some dtypes only.",
    fix=_OTHERWISE + _FLEX,
    older=(
        (
            "1.15",
            "take the op out of the graph that you freeze, or convert the same weights from a Keras"
            " model on today's release.",
        ),
        (
            "2.8",
            "convert it with SELECT_TF_OPS for a runtime that is built with the Flex delegate; from"
            " 2.9 to 2.19 the tensorflow package itself has been seen to run such a file.",
        ),
        (
            "2.19",
            "its tensorflow package still links Flex into tf.lite.Interpreter, so"
            " converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS,"
            " tf.lite.OpsSet.SELECT_TF_OPS] gives a file that runs there; tflite-runtime and a"
            " plain Android build do not run it.",
        ),
    ),
    log_meanings={
        "no-lowering": Meaning(
            185, "{name:An op} of PyTorch: LiteRT Torch has no lowering for it.", _OF_PYTORCH
        )
    },
    log_patterns=(
        Pattern("no-lowering", "Lowering not found:", after=r"(?P<name>aten\.\w{1,60})"),
        Pattern("unsupported-ops", "TF Select ops:", after=_ANY_CASE),
        Pattern("unsupported-ops", "select-tf-ops flag):", after=_ANY_CASE),
        Pattern("custom-ops", "-emit-custom-ops flag):", after=_ANY_CASE),
        Pattern(
            "custom-ops",
            "Custom ops:",
            company=("ops_custom", "convertererror"),
            after=_ANY_CASE,
        ),
        Pattern(
            "toco-ops",
            "not supported by the standard TensorFlow Lite runtime",
            reach=1400,
            after=_TOCO,
        ),
        Pattern(
            "toco-ops",
            "operators for which you will need custom implementations:",
            after=_ANY_CASE,
        ),
        Pattern("toco-ops", "Converting unsupported operation:", after=_ANY_CASE),
        Pattern(
            "op-types", "(tensor<", r"tf\.(?P<op>\w{1,60})$", after=r"(?P<types>.{0,300}?)->"
        ),
    ),
    log_rule=_in_log,
    of_variables=False,
)  # fmt: skip

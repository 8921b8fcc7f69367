"""A ``tf.Module`` that a learner hands in: made and traced, each fault with its advice."""

from __future__ import annotations

import inspect
from typing import Any

from workbook_lib.lesson.submissions import (
    LearnerRaised,
    NotAttempted,
    Wrong,
    describe,
    is_stub,
    learner_frame,
)


def make_module(module_class: Any, *methods: str) -> Any:
    """Make a module of the learner's class, which has these ``tf.function`` methods.

    Raises ``Wrong``: it is no class of a ``tf.Module``, or lacks a method. Raises ``NotAttempted``:
    a method is a stub. Raises ``LearnerRaised``: its ``__init__`` raised.
    """
    import tensorflow as tf

    if not inspect.isclass(module_class):
        raise Wrong("This check makes a module of the class. Give it the class, no instance.")
    try:
        module = module_class()
    except Exception as error:
        raise _raised(error, module_class) from error
    if not isinstance(module, tf.Module):
        name = module_class.__name__
        raise Wrong(f"`{name}` is to be a `tf.Module`, so that the converter finds its variables.")
    for method in methods:
        if not hasattr(getattr(module, method, None), "get_concrete_function"):
            raise Wrong(f"`{module_class.__name__}` has no `tf.function` of the name `{method}`.")
        written = inspect.getattr_static(module_class, method)  # not bound: its own code
        if is_stub(getattr(written, "python_function", written)):
            raise NotAttempted
    return module


def trace_methods(module: Any, *methods: str) -> list[Any]:
    """Return the concrete functions of a learner's module.

    Raises ``Wrong``: one returns nothing, or takes a variable away from the module. Raises
    ``LearnerRaised``: one raised.
    """
    owned, functions = {id(variable) for variable in module.variables}, []
    for method in methods:
        try:
            functions.append(getattr(module, method).get_concrete_function())
        except Exception as error:
            raise _raised(error, type(module)) from error
        if not functions[-1].outputs:
            raise Wrong(f"`{method}` returns nothing, and a signature has to return something.")
    if not owned <= {id(variable) for variable in module.variables}:
        raise Wrong(
            "A line such as `self.name = …` gives the name to something else, and the module has "
            "lost its variable. A variable gets another value by `assign` or `assign_add`."
        )
    return functions


def trace_one_to_one(module: Any, method: str, given: Any, dtype: Any) -> Any:
    """Return the concrete function of a method from one tensor to one.

    Raises ``Wrong``: it does not take the tensor that ``given`` specifies, or does not answer with
    one of the dtype. Raises ``LearnerRaised``: it raised.
    """
    import tensorflow as tf

    (function,) = trace_methods(module, method)
    taken = [tf.TensorSpec(each.shape, each.dtype) for each in function.inputs]
    own = [(spec.shape, spec.dtype) for spec in taken if spec.dtype != tf.resource]
    if own != [(given.shape, given.dtype)]:
        raise Wrong(
            f"Keep the input signature of `{method}`: one tensor of {given.dtype.name}, "
            f"{given.shape.as_list()}."
        )
    answered = function.structured_outputs
    if not tf.is_tensor(answered):
        raise Wrong(f"`{method}` answers with a `{type(answered).__name__}`. Return one tensor.")
    if answered.dtype != dtype:
        raise Wrong(
            f"`{method}` answers in {answered.dtype.name}. Its callers expect {dtype.name}."
        )
    return function


def _raised(error: Exception, module_class: Any) -> LearnerRaised:
    namespace = getattr(getattr(module_class, "__init__", None), "__globals__", None)
    return LearnerRaised(describe(error, learner_frame(error, namespace)))

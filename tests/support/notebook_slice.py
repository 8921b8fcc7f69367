"""The part of a notebook that one of its cells needs: what is executed in place of the whole."""

import ast
import builtins
import copy
import symtable

from workbook_lib.editions.solved import fill_in_solutions


def sliced(notebook, *cell_ids):
    """The notebook with its text, some of its code cells, and those others whose names these need.

    Going backwards: a cell is needed if it binds, or changes, a name that a needed one uses.
    """
    kept, wanted = set(), set()
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    fixed = set(dir(builtins)).union(*(names(cell)[3] for cell in code))
    for cell in reversed(code):
        bound, changed, used, imported = names(cell)
        asked = cell["id"] in cell_ids or "parameters" in cell["metadata"].get("tags", [])
        if asked or (bound | imported | (changed - fixed)) & wanted:
            kept.add(cell["id"])
            wanted = wanted - bound - imported | used
    assert kept >= set(cell_ids)
    cells = [
        cell for cell in notebook["cells"] if cell["cell_type"] != "code" or cell["id"] in kept
    ]
    return {**copy.deepcopy(notebook), "cells": copy.deepcopy(cells)}


def with_exercises(notebook):
    """The part of a notebook that its exercises reach: these, their checks, and what uses them."""
    edition = fill_in_solutions(notebook)
    reached, names_of = [], set()
    for cell in edition["cells"]:
        if cell["cell_type"] == "code":
            tags = cell["metadata"].get("tags", [])
            bound, changed, used, _ = names(cell)
            if "exercise" in tags:
                names_of |= bound | changed
            if {"exercise", "check"} & set(tags) or used & names_of:
                reached.append(cell["id"])
    kept = {cell["id"] for cell in sliced(edition, *reached)["cells"]}
    return {**notebook, "cells": [cell for cell in notebook["cells"] if cell["id"] in kept]}


def names(cell):
    """The names that a cell binds, those it may change, those it uses, and those it imports."""
    lines = "".join(cell["source"]).splitlines()
    magic = {word for line in lines if line.startswith("%") for word in line.split()}
    magic = {"%%" if word.startswith("%%") else word for word in magic}
    code = "\n".join(line for line in lines if not line.startswith("%"))
    table = symtable.symtable(code, "cell", "exec")
    top = table.get_symbols()
    imported = {symbol.get_name() for symbol in top if symbol.is_imported()}
    bound = {symbol.get_name() for symbol in top if symbol.is_assigned()} - imported
    if "%load_ext" in magic:
        imported.add("%%")
    used = {symbol.get_name() for symbol in top if symbol.is_referenced()} | inner_names(table)
    changed = {root(node) for node in ast.walk(ast.parse(code)) if changes(node)} - imported
    return bound, changed | magic, used | magic, imported


def inner_names(table):
    """The names of the cell that its functions, classes and comprehensions use."""
    found = set()
    for child in table.get_children():
        found |= {symbol.get_name() for symbol in child.get_symbols() if symbol.is_global()}
        found |= inner_names(child)
    return found


def changes(node):
    """Whether something is set in an object, or called on it without looking at the answer."""
    if isinstance(node, ast.Attribute | ast.Subscript):
        return isinstance(node.ctx, ast.Store)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def root(node):
    """The name that an attribute or an item belongs to: ``model`` in ``model.layers[0].add()``."""
    while not isinstance(node, ast.Name):
        children = [getattr(node, name, None) for name in ("value", "func")]
        node = next((child for child in children if isinstance(child, ast.AST)), ast.Name(""))
    return node.id

"""The look-up tables that a .tflite file can have."""

from __future__ import annotations

import re

BUILTIN_TABLES = frozenset({("string", "int64"), ("int64", "string")})
"""Key and value dtypes of the tables that have a builtin, HASHTABLE; they are fixed ones."""

CHANGING = re.compile(r"(?:Anonymous)?Mutable|Iterator|(?:\w{1,20})?Queue|Stack(?!ed)|Barrier")
"""How the ops begin that make a resource which a call changes, or takes something out of."""

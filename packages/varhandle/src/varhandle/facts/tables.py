"""The look-up tables that a .tflite file can have."""

from __future__ import annotations

import re

BUILTIN_TABLES = frozenset({("string", "int64"), ("int64", "string")})
"""Key and value dtypes of the tables that have a builtin, HASHTABLE; they are fixed ones."""

CHANGES = re.compile(r"LookupTable(?:Insert|Remove)(?:V2)?")
"""The ops by which a model changes a table; one that is never changed is as good as constants."""

FIXED = re.compile(r"(?:Anonymous)?HashTable(?:V2)?")
"""The ops that make a table which is filled once, when the model is loaded."""

FILLED_FROM_FILE = re.compile(r"InitializeTableFromTextFile(?:V2)?")

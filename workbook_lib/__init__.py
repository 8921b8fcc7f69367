"""The helper library of the VarHandleOp workbook's lessons; the tool itself is ``varhandle``."""

__version__ = "0.1.0"

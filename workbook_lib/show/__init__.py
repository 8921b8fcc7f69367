"""How things look: diagrams, tables, the version grid, and Netron inside JupyterLab.

Every function returns one small result with a text form (terminal, screen reader, nbval) and
a form that JupyterLab draws. Importing this imports no TensorFlow, IPython or matplotlib.
"""

from varhandle.graph.histogram import OpHistogram, op_histogram
from varhandle.graph.variables import VariableTable, variable_table
from workbook_lib.show.answers import Answers, answers
from workbook_lib.show.before_after import BeforeAfter, before_after
from workbook_lib.show.claims import ClaimsTable, claims_table
from workbook_lib.show.classroom import class_picture
from workbook_lib.show.flowchart import Flowchart, mermaid
from workbook_lib.show.layout import SideBySide, side_by_side
from workbook_lib.show.netron_view import NetronView, netron
from workbook_lib.show.picture import Picture, picture
from workbook_lib.show.recipes import recipes
from workbook_lib.show.releases import ReleaseTable, releases
from workbook_lib.show.runtimes import RuntimeTable, runtimes
from workbook_lib.show.versions import VersionMatrix, version_matrix

__all__ = [
    "Answers",
    "BeforeAfter",
    "ClaimsTable",
    "Flowchart",
    "NetronView",
    "OpHistogram",
    "Picture",
    "ReleaseTable",
    "RuntimeTable",
    "SideBySide",
    "VariableTable",
    "VersionMatrix",
    "answers",
    "before_after",
    "claims_table",
    "class_picture",
    "mermaid",
    "netron",
    "op_histogram",
    "picture",
    "recipes",
    "releases",
    "runtimes",
    "side_by_side",
    "variable_table",
    "version_matrix",
]

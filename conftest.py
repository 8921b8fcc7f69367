"""What every test has to itself, those of the notebooks too."""

import atexit
import os
import shutil
import tempfile

# A kernel whose history file another one has locked says so amid a cell's output. So the kernels
# of two workers do not share one.
os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="workbook-ipython-")
atexit.register(shutil.rmtree, os.environ["IPYTHONDIR"], ignore_errors=True)

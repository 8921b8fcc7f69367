"""What is wrong with a TensorFlow model's variables on the way to .tflite, mended and proved.

The names are those of ``__init__.pyi``. Each comes, with what it needs, when it is used: importing
this imports neither TensorFlow nor the readers.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

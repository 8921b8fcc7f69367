"""``python -m varhandle.cli``."""

import sys

from varhandle.cli import main

sys.exit(main())

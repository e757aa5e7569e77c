"""`python -m trunkline` is the program `trunkline`, and so is `python` with the path of this package."""

from __future__ import annotations

import os
import sys

if not __package__:
    # By its path, Python looks for modules in this directory, and not in the one that holds the package.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from trunkline.cli.main import main

if __name__ == "__main__":
    main()

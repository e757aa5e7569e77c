"""`python -m trunkline` is the program `trunkline`, and so is `python` with the path of this package."""

from __future__ import annotations

import os
import sys

if not __package__:
    # By its path, Python looks for modules in this directory, and not in the one that holds the package.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main() -> None:
    """Run the program `trunkline` and exit."""
    _end_quietly_if_interrupted()
    from trunkline.cli.main import main as run

    run()


def neutron() -> None:
    """Run the program `trunkline-neutron` and exit."""
    _end_quietly_if_interrupted()
    from trunkline.cli.neutron import main as run

    run()


def _end_quietly_if_interrupted() -> None:
    """Have an interrupt end the program without a traceback while it is loaded, too.

    Nothing is imported before that is so: even the module `signal` takes some milliseconds.
    """
    sys.excepthook = lambda kind, error, trace: (
        None if kind is KeyboardInterrupt else sys.__excepthook__(kind, error, trace)
    )


if __name__ == "__main__":
    main()

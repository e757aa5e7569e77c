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
    _load_no_green_threads()
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


def _load_no_green_threads() -> None:
    """Prevent the import of what a Neutron brings along on many chassis.

    If it is installed, `ovs.poller` loads it only to ask whether it has replaced `select`. It has not, and
    loading it takes 0.2 to 0.5 s of a start.
    """
    for name in ("eventlet", "gevent"):
        sys.modules[name] = None  # type: ignore[assignment]


if __name__ == "__main__":
    main()

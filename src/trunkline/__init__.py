"""Trunkline attaches virtual machines on Open vSwitch hosts to physical (provider) networks."""

__version__ = "0.1.0"

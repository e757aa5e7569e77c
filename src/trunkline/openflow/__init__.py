"""OpenFlow 1.4, as Open vSwitch speaks it."""

"""The integration bridge: its flows, its ports, and the frames that the agent sends over it."""

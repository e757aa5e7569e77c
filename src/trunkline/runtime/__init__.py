"""What the agent's process runs on: the log, and the private parts of the `ovs` package."""

"""What the agent's process runs on: the `ovs` package's log, and what is private to that package."""

"""The process of the agent: its start and its end, and what it is asked while it runs."""

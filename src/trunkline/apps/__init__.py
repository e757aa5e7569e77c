"""The pipeline's apps: pure functions from a view to flows."""

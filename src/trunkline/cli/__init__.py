"""The `trunkline` program, one module per noun."""

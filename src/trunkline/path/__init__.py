"""Where a frame goes: through one chassis by its own switch's word, and over all of them."""

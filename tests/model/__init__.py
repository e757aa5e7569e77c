"""What the tests share: frames, rows, a pure switch, and the oracle that says what must come out."""

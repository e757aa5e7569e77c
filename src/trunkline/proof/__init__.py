"""The proof that all frames go where they should, and nowhere else, on the flows that a switch has (ADR 84).

`intent` says what may come of frames, from the rows of both databases and the frame rules alone: it imports
no app, and nothing of how flows are made. `switch` says what flows do, and knows no rule. `proof` compares.
"""

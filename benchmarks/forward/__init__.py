"""The case `forward`: what a frame costs in each contender's switch."""

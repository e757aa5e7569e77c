"""What the switch of a chassis has, as an operator asks about it, and the words in which it is answered."""

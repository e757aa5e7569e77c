"""What an operator asks about the switch of a chassis, and the words in which it is answered."""

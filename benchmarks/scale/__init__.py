"""The case `scale`: one northbound, and more sessions of chassis than one machine has switches for."""

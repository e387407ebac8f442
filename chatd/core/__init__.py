"""The rules: no I/O, no reactor; time, randomness and outcomes come in as arguments."""

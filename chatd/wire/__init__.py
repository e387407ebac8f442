"""Bytes to commands, events to bytes: pure, one module a dialect."""

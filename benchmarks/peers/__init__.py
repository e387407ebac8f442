"""The servers that chatd is measured beside, each as its users would write it.

Every one of them takes a port of 127.0.0.1 as its only argument, greets who connects, and sends
each text to everybody who is connected, the sender too. None stores anything.
"""

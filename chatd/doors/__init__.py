"""Where people come in: Twisted, each module touching exactly one outside thing."""

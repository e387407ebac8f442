"""Real processes, real sockets: what only shows when chatd runs as people run it."""

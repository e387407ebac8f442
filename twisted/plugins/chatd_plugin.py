"""Where `twistd chatd` is found. Twisted loads every plugin file: this imports nothing of ours."""

from twisted.application.service import ServiceMaker

chatd = ServiceMaker("chatd", "chatd.tap", "A chat daemon over WebSocket.", "chatd")

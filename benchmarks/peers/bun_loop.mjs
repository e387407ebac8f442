// Bun with the demo's loop over everybody.

const sockets = new Set();

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("WebSocket only", { status: 426 });
  },
  websocket: {
    open(socket) {
      sockets.add(socket);
      socket.send("connected to WebSocket server");
    },
    message(_socket, message) {
      for (const each of sockets) {
        each.send(message);
      }
    },
    close(socket) {
      sockets.delete(socket);
    },
  },
});

// Bun with its native publish, which is uWebSockets' in C++.

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  fetch(request, server) {
    return server.upgrade(request) ? undefined : new Response("WebSocket only", { status: 426 });
  },
  websocket: {
    open(socket) {
      socket.subscribe("everybody");
      socket.send("connected to WebSocket server");
    },
    message(_socket, message) {
      server.publish("everybody", message);
    },
  },
});

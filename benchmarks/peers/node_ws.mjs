// The original demo's server: npm `ws`, and a loop over everybody.

import { WebSocket, WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]) });

server.on("connection", (socket) => {
  socket.on("error", console.error);
  socket.on("message", (message, isBinary) => {
    for (const client of server.clients) {
      if (client.readyState === WebSocket.OPEN) {
        client.send(message, { binary: isBinary });
      }
    }
  });
  socket.send("connected to WebSocket server");
});

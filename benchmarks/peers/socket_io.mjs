// Socket.IO over WebSocket alone, as there is nothing to fall back from.

import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"] });

io.on("connection", (socket) => {
  socket.on("message", (text) => io.emit("message", text));
});

http.listen(Number(process.argv[2]), "127.0.0.1");

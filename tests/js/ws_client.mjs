// What the npm package `ws` makes of a daemon: node ws_client.mjs URL MESSAGES_IN_A_BURST
//
// Says what happened as one JSON object on standard output; what it means is the test's to judge.

import WebSocket from "ws";

const DEADLINE_MS = 20000;

const [url, burst] = [process.argv[2], Number(process.argv[3])];

class Peer {
  #heard = [];
  #waiting = [];

  constructor(address) {
    this.socket = new WebSocket(address);
    this.closed = new Promise((resolve, reject) => {
      this.socket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
      this.socket.on("error", reject);
    });
    this.socket.on("message", (data, isBinary) => {
      const message = isBinary ? { binary: data.toString("hex") } : { text: data.toString() };
      const next = this.#waiting.shift();
      if (next === undefined) {
        this.#heard.push(message);
      } else {
        next(message);
      }
    });
  }

  // The next message, whether it has come already or not.
  next() {
    if (this.#heard.length > 0) {
      return Promise.resolve(this.#heard.shift());
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async take(count) {
    const messages = [];
    while (messages.length < count) {
      messages.push(await this.next());
    }
    return messages;
  }
}

async function main() {
  const [one, two] = [new Peer(url), new Peer(url)];
  const greetings = await Promise.all([one.next(), two.next()]);

  one.socket.send("zażółć");
  one.socket.send(Buffer.from([0, 255, 10]));
  one.socket.send("");
  one.socket.send(Buffer.alloc(0));
  const heard = { one: await one.take(4), two: await two.take(4) };

  for (let number = 0; number < burst; number += 1) {
    one.socket.send(`${number}`);
  }
  const order = (await two.take(burst - 4)).map(({ text }) => text);
  const refused = await one.closed;

  two.socket.close(4001, "enough");
  return { greetings, heard, order, refused, left: await two.closed };
}

setTimeout(() => {
  console.error("not done in time");
  process.exit(1);
}, DEADLINE_MS).unref();

console.log(JSON.stringify(await main()));

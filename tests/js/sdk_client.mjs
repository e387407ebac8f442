// The npm package `centrifuge`, unmodified, doing what it is told: node sdk_client.mjs
//
// Commands come as lines of JSON on standard input, answers and events go as lines of JSON to
// standard output. tests/support/sdks.py says which; tests/support/python_sdk.py is its twin.

import { createInterface } from "node:readline";

import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

const RECONNECT_MS = { minReconnectDelay: 20, maxReconnectDelay: 200 };
const RESUBSCRIBE_MS = { minResubscribeDelay: 20, maxResubscribeDelay: 200 };

// Loses the client's pongs on their way to the network.
class Pongless extends WebSocket {
  send(text, ...rest) {
    if (text !== "{}") {
      super.send(text, ...rest);
    }
  }
}

const peers = new Map();

function tell(fact) {
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}

const person = (info) => info && { user: info.user, id: info.client, info: info.connInfo };

const publication = ({ offset, data, tags, info }) => ({ offset, data, tags, info: person(info) });

class Peer {
  #name;
  #client;
  #about;
  #throwing = false;

  constructor({
    client,
    url,
    nick,
    resume,
    token = "",
    tokens = null,
    pongless = false,
    keeps_resume = true,
  }) {
    this.#name = client;
    this.#about = {};
    if (nick) {
      this.#about.nick = nick;
    }
    if (resume) {
      this.#about.resume = resume;
    }
    this.#client = new Centrifuge(url, {
      ...RECONNECT_MS,
      websocket: pongless ? Pongless : WebSocket,
      token,
      ...(tokens ? { getToken: async () => this.#next(tokens) } : {}),
      getData: async () => this.#about,
    });
    this.#client
      .on("connecting", ({ code, reason }) => this.#tell("connecting", { code, reason }))
      .on("connected", ({ client: id, data }) => {
        if (keeps_resume && data) {
          this.#about.resume = data.resume;
        }
        this.#tell("connected", { id, data });
      })
      .on("disconnected", ({ code, reason }) => this.#tell("disconnected", { code, reason }))
      .on("error", ({ type, error }) => this.#tell("error", { type, code: error.code }))
      .on("message", ({ data }) => this.#tell("message", { data }));
  }

  #next(tokens) {
    this.#tell("token", {});
    const token = tokens.shift();
    if (!token) {
      throw new Error("no token");
    }
    return token;
  }

  #tell(event, fact) {
    tell({ event, client: this.#name, ...fact });
  }

  connect() {
    this.#client.connect();
  }

  disconnect() {
    this.#client.disconnect();
  }

  subscribe({ room, join_leave = false }) {
    const before = this.#client.getSubscription(room);
    if (before) {
      before.subscribe();
      return;
    }
    const tellRoom = (event, fact) => this.#tell(event, { room, ...fact });
    const options = { ...RESUBSCRIBE_MS, positioned: true, recoverable: true };
    this.#client
      .newSubscription(room, { ...options, joinLeave: join_leave })
      .on("subscribed", ({ streamPosition, wasRecovering, recovered, data }) =>
        tellRoom("subscribed", {
          position: [streamPosition.epoch, streamPosition.offset],
          was_recovering: wasRecovering,
          recovered,
          data,
        }),
      )
      .on("subscribing", ({ code, reason }) => tellRoom("subscribing", { code, reason }))
      .on("unsubscribed", ({ code, reason }) => tellRoom("unsubscribed", { code, reason }))
      .on("error", ({ error }) => tellRoom("subscription_error", { code: error.code }))
      .on("join", ({ info }) => tellRoom("join", person(info)))
      .on("leave", ({ info }) => tellRoom("leave", person(info)))
      .on("publication", (context) => {
        if (this.#throwing) {
          this.#throwing = false;
          throw new Error(`thrown at ${context.offset}`);
        }
        tellRoom("publication", publication(context));
      })
      .subscribe();
  }

  unsubscribe({ room }) {
    this.#client.getSubscription(room).unsubscribe();
  }

  throw_once() {
    this.#throwing = true;
  }

  async publish({ room, data }) {
    await this.#client.publish(room, data);
  }

  async history({ room, limit, since, reverse }) {
    const [epoch, offset] = since ?? [];
    const place = since ? { since: { epoch, offset } } : {};
    const page = await this.#client.history(room, { limit, reverse, ...place });
    const publications = page.publications.map(publication);
    return { position: [page.epoch, page.offset], publications };
  }

  async presence({ room }) {
    const { clients } = await this.#client.presence(room);
    return Object.values(clients).map(person);
  }

  async presence_stats({ room }) {
    const { numClients, numUsers } = await this.#client.presenceStats(room);
    return { clients: numClients, users: numUsers };
  }

  async rpc({ method, data }) {
    return (await this.#client.rpc(method, data)).data;
  }
}

async function obey({ id, make, ...words }) {
  try {
    if (make === "peer") {
      peers.set(words.client, new Peer(words));
      tell({ id, result: null });
    } else {
      tell({ id, result: (await peers.get(words.client)[make](words)) ?? null });
    }
  } catch (error) {
    tell({ id, error: { code: error.code ?? 0, message: error.message ?? String(error) } });
  }
}

// The SDK reports what a listener threw as a rejection that nobody waits for.
process.on("unhandledRejection", (error) => tell({ event: "thrown", message: error.message }));

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => obey(JSON.parse(line)));
lines.on("close", () => process.exit(0));

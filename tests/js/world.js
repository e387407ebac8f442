// A world for the connection: a clock that is turned by hand, and WebSockets that do what the test says.

export class FakeClock {
  #now = 0;
  #timers = new Map();
  #next = 1;

  now = () => this.#now;

  setTimeout = (call, delay) => {
    this.#timers.set(this.#next, { call, due: this.#now + delay });
    return this.#next++;
  };

  clearTimeout = (timer) => {
    this.#timers.delete(timer);
  };

  get pending() {
    return this.#timers.size;
  }

  // Let time pass, and call what falls due on the way, in order.
  advance(ms) {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { due }]) => due <= end);
      if (due.length === 0) {
        break;
      }
      const [timer, first] = due.sort(([, one], [, other]) => one.due - other.due)[0];
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, first.due);
      first.call();
    }
    this.#now = end;
  }
}

// A class of its own for each test, so that `all` lists this test's connections only.
export function fakeWebSocketClass() {
  return class FakeWebSocket {
    static all = [];
    static refuse = false;

    readyState = 0;
    sent = [];
    closed = [];

    constructor(url) {
      if (FakeWebSocket.refuse) {
        throw new Error("not allowed");
      }
      this.url = url;
      FakeWebSocket.all.push(this);
    }

    static get last() {
      return FakeWebSocket.all.at(-1);
    }

    send(text) {
      this.sent.push(text);
    }

    close(code) {
      this.closed.push(code);
      this.readyState = 2;
    }

    // What the network does:

    opens() {
      this.readyState = 1;
      this.onopen({});
    }

    receives(data) {
      this.onmessage({ data });
    }

    ends(code = 1006, reason = "") {
      this.readyState = 3;
      this.onclose({ code, reason });
    }
  };
}

// Talks with a trigger-host over a WebSocket: sends events, gets messages, and goes on where it was after a break.
//
//   import { connect } from "http://127.0.0.1:8080/client.js";
//   const host = connect("http://127.0.0.1:8080", { storage: sessionStorage });
//   host.on("price", (message) => console.log(message.value));
//   await host.subscribe({ topics: ["prices"] });
//   const { results } = await host.send("order", { item: "tea" });   // what came of it, durable
//
// For browsers, and for Node from version 22; older ones pass a class as `WebSocket`.

const UNSENT_MOST = 10_000;

/** The host refused a message, or nobody knows what came of it. `code` is a word that never changes. */
export class HostError extends Error {
  constructor(code, text, message) {
    super(text);
    this.name = "HostError";
    this.code = code;
    /** What the host said, if it said something. */
    this.answer = message;
  }
}

/**
 * Connects, and connects again whenever it has to, until `close`.
 *
 * @param {string} url of the host: http, https, ws or wss
 * @param {object} [options]
 * @param {string} [options.token] a token; a page that has the host's cookie needs none
 * @param {Storage} [options.storage] where the session is kept (`getItem`, `setItem`): it goes on after a reload
 * @param {string} [options.storageKey] under which name; one for each tab that is a client of its own
 * @param {number} [options.firstDelay] milliseconds before the first attempt after a break, twice as many each time
 * @param {number} [options.longestDelay] at most so many
 * @param {number} [options.silence] milliseconds without a message after which it asks whether the host is there
 * @param {Function} [options.WebSocket] the class, where there is no global one
 * @returns {Client}
 */
export function connect(url, options = {}) {
  return new Client(url, options);
}

class Client {
  #url;
  #options;
  #socket = null;
  #isOpen = false;
  #isClosed = false;
  #attempts = 0;
  #timer = null;
  #silence = null;
  #handlers = new Map();
  /** id → { text, resolve, reject, wasSent }, in the order in which they were sent. */
  #waiting = new Map();
  #wishes = [];
  #isSavePlanned = false;
  #state = { session: null, token: 0, next: 1, unacknowledged: [] };

  constructor(url, options) {
    const socketClass = options.WebSocket ?? globalThis.WebSocket;
    if (!socketClass) throw new Error("there is no WebSocket here: pass a class as options.WebSocket");
    this.#url = new URL("/v1/ws", url);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#options = {
      firstDelay: 250, longestDelay: 30_000, silence: 45_000,
      storageKey: "trigger-host " + this.#url.host, ...options, WebSocket: socketClass,
    };
    this.#load();
    this.#open();
  }

  /** The session, once the host has said it. It is a secret of this client. */
  get session() { return this.#state.session; }

  /** Whether messages get through now. */
  get isOpen() { return this.#isOpen; }

  /**
   * Calls `handler(message)` for messages of a type; `*` stands for all that have no handler. Beside types of scripts:
   * `$change`, `$record` and `$execution` (what is subscribed to), and of this client `open`, `close` (`{code, reason}`) and `away` (messages
   * were missed, or the session is a new one: `{reason, session}`; read anew what you show).
   *
   * @returns {() => void} takes the handler away
   */
  on(type, handler) {
    if (!this.#handlers.has(type)) this.#handlers.set(type, new Set());
    this.#handlers.get(type).add(handler);
    return () => this.#handlers.get(type).delete(handler);
  }

  /**
   * Sends an event; sends it again, with the same id, until the host has said what came of it. With the field
   * `$wait: "accepted"` the answer comes when the event is sure to run (`{accepted: true}`), or with its results when it is
   * decided by then.
   *
   * @returns {Promise<{event_id: string, results: object[], hint?: string}>} what came of it, durable. Rejects with
   *   `HostError`: the host's refusal, `unknown_outcome` when the session was lost while it was under way, `closed`.
   */
  send(type, fields = {}) {
    if (typeof type !== "string" || type === "" || type.startsWith("$")) {
      throw new TypeError(`a type is text that does not begin with $, got ${type}`);
    }
    return this.#ask({ ...fields, type });
  }

  /**
   * `{topics: [T], stores: [S], keys: [{store, key}], prefixes: [{store, prefix}], log: [filter], executions: [filter]}`:
   * kept over breaks.
   */
  subscribe(wish) {
    this.#wishes.push(JSON.stringify(wish));
    return this.#ask({ ...wish, type: "$subscribe" });
  }

  /** Ends what `subscribe` with the same wish began. */
  unsubscribe(wish) {
    const text = JSON.stringify(wish);
    this.#wishes = this.#wishes.filter((one) => one !== text);
    return this.#ask({ ...wish, type: "$unsubscribe" });
  }

  /** Ends the connection, and comes back no more. The session waits for a while: another client may take it up. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#socket?.close(1000);
    for (const entry of this.#waiting.values()) entry.reject(new HostError("closed", "the client was closed"));
    this.#waiting.clear();
  }

  // MARK: what waits for an answer

  #ask(message) {
    if (this.#isClosed) return Promise.reject(new HostError("closed", "the client was closed"));
    if (this.#waiting.size >= UNSENT_MOST) {
      return Promise.reject(new HostError("too_many", `${UNSENT_MOST} messages wait for an answer`));
    }
    const id = this.#state.next++;
    const text = JSON.stringify({ ...message, id });
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { text, resolve, reject, wasSent: false });
      this.#save();
      this.#write(this.#waiting.get(id));
    });
  }

  #write(entry) {
    if (!this.#isOpen) return;
    entry.wasSent = true;
    this.#socket.send(entry.text);
  }

  #settle(message, isGood) {
    const entry = this.#waiting.get(message.id);
    if (!entry) return false;
    this.#waiting.delete(message.id);
    this.#save();
    if (isGood) entry.resolve(message);
    else entry.reject(new HostError(message.code, message.error, message));
    return true;
  }

  // MARK: the connection

  #open() {
    this.#timer = null;
    const url = new URL(this.#url);
    if (this.#state.session) {
      url.searchParams.set("session", this.#state.session);
      url.searchParams.set("since", this.#state.token);
    }
    const protocols = ["trigger-host.v1"];
    if (this.#options.token) protocols.push("trigger-host.token." + this.#options.token);
    const socket = new this.#options.WebSocket(url.href, protocols);
    this.#socket = socket;
    socket.onmessage = (event) => { if (socket === this.#socket) this.#take(JSON.parse(event.data)); };
    socket.onclose = (event) => { if (socket === this.#socket) this.#lost(event); };
    // A break is told by `close`, which comes behind it; not by every class, when there was no connection yet.
    socket.onerror = () => setTimeout(() => socket.onclose({ code: 1006, reason: "" }), 100);
    this.#listen();
  }

  #lost(event) {
    this.#isOpen = false;
    this.#socket = null;
    clearTimeout(this.#silence);
    this.#call("close", { code: event.code, reason: event.reason });
    if (this.#isClosed) return;
    // Each waits for a time of its own: clients of a host that comes back do not come all at once.
    const most = Math.min(this.#options.longestDelay, this.#options.firstDelay * 2 ** this.#attempts);
    this.#attempts = Math.min(this.#attempts + 1, 30);
    this.#timer = setTimeout(() => this.#open(), most * (0.5 + Math.random() / 2));
  }

  /** Browsers do not tell a page of pings: so it asks itself, and breaks off what does not answer. */
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      if (this.#isOpen) this.#socket.send('{"type":"$ping"}');
      this.#silence = setTimeout(() => {
        const socket = this.#socket;
        this.#socket = null;
        socket?.close();
        this.#lost({ code: 1006, reason: "the host does not answer" });
      }, 15_000);
    }, this.#options.silence);
  }

  #take(message) {
    this.#listen();
    if (message.type === "$session") return this.#begin(message);
    if (Number.isInteger(message.token)) {
      if (message.token <= this.#state.token) return;
      this.#state.token = message.token;
      this.#save();
    }
    switch (message.type) {
      case "$ack":
      case "$subscribed":
      case "$unsubscribed": this.#settle(message, true); break;
      case "$error": if (!this.#settle(message, false)) this.#call("$error", message); break;
      case "$pong": break;
      default: this.#call(message.type, message);
    }
  }

  /** The host's first word. */
  #begin(message) {
    const isOther = this.#state.session !== null && this.#state.session !== message.session;
    this.#state.session = message.session;
    this.#state.token = message.token;
    this.#attempts = 0;
    this.#isOpen = true;
    if (isOther) this.#loseSent();
    this.#save();
    if (message.reason) this.#call("away", { reason: message.reason, session: message.session });
    this.#call("open", message);
    for (const entry of this.#waiting.values()) this.#write(entry);
    if (isOther) {
      for (const wish of this.#wishes) this.#ask({ ...JSON.parse(wish), type: "$subscribe" }).catch(() => {});
    }
  }

  /** A new session does not know the ids of the old one: sent again, what happened would happen twice. */
  #loseSent() {
    for (const [id, entry] of this.#waiting) {
      if (!entry.wasSent) continue;
      this.#waiting.delete(id);
      entry.reject(new HostError("unknown_outcome", "the session was lost: it may have happened, or not"));
    }
  }

  #call(type, message) {
    const own = this.#handlers.get(type);
    const all = own?.size ? own : this.#handlers.get("*");
    for (const handler of all ?? []) {
      try { handler(message); } catch (error) { console.error(error); }
    }
  }

  // MARK: what outlives a reload

  #load() {
    try {
      const state = JSON.parse(this.#options.storage?.getItem(this.#options.storageKey) ?? "null");
      if (!state || typeof state.session !== "string" && state.session !== null) return;
      this.#state = { ...this.#state, ...state };
      const nobody = () => {};
      for (const [id, text] of this.#state.unacknowledged) {
        this.#waiting.set(id, { text, resolve: nobody, reject: nobody, wasSent: true });
      }
    } catch { /* A storage that cannot be read is as good as an empty one. */ }
  }

  /** When what runs now has run: once for many, and a handler has seen a message before it is written down as seen. */
  #save() {
    if (!this.#options.storage || this.#isSavePlanned) return;
    this.#isSavePlanned = true;
    queueMicrotask(() => this.#saveNow());
  }

  #saveNow() {
    this.#isSavePlanned = false;
    this.#state.unacknowledged = [...this.#waiting].map(([id, entry]) => [id, entry.text]);
    try {
      this.#options.storage.setItem(this.#options.storageKey, JSON.stringify(this.#state));
    } catch { /* A storage that is full: the session does not outlive a reload. */ }
  }
}

// What scripts/test-websocket runs in Node: sends orders with the host's module until its standard input says so, and
// looks whether each happened once. Arguments: the module, the host.
const [, , path, url] = process.argv;
const { connect } = await import(path);

const kept = new Map();
const storage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, text) => kept.set(name, text) };
const names = [];
let host = connect(url, { storage, firstDelay: 20, longestDelay: 200 });
const listen = () => host.on("placed", (message) => names.push(message.name));
listen();

let isOver = false;
process.stdin.on("data", () => { isOver = true; });
let count = 0;
while (!isOver || count < 30) {
  const orders = Array.from({ length: 10 }, (_, place) => host.send("order", { name: `js-${count + place}` }));
  for (const { results } of await Promise.all(orders)) {
    if (results[0].outcome !== "committed") throw new Error(JSON.stringify(results));
  }
  count += 10;
  if (count === 20) {
    // A reload: a new client with the same storage is the same session.
    while (names.length < 20) await new Promise((go) => setTimeout(go, 5));
    const { session } = host;
    host.close();
    host = connect(url, { storage, firstDelay: 20, longestDelay: 200 });
    if (host.session !== session) throw new Error("the session did not outlive the reload");
    listen();
  }
}
const deadline = Date.now() + 20_000;
while (names.length < count && Date.now() < deadline) await new Promise((go) => setTimeout(go, 10));
const expected = Array.from({ length: count }, (_, place) => `js-${place}`);
if (JSON.stringify(names) !== JSON.stringify(expected)) throw new Error(`expected ${count} in order, got ${names}`);
host.close();
console.log(`${count} orders, one reload, kills`);
process.exit(0);

"""Drives Chromium over its DevTools protocol: a page of it talks with a host by `/client.js`, while the host is killed."""

import asyncio
import functools
import http.server
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading

# What the page has seen is kept where the client keeps its session, so that both outlive a reload together.
PAGE = """<!doctype html><title>orders</title><script>
const seen = JSON.parse(sessionStorage.getItem("seen") ?? '{"count":0,"placed":[],"records":[],"away":[],"closes":0}');
const keep = () => sessionStorage.setItem("seen", JSON.stringify(seen));
const note = (list, item) => { seen[list].push(item); keep(); };
let isOver = false, loop;

async function begin(url) {
  const { connect } = await import(url + "/client.js");
  const host = connect(url, { storage: sessionStorage, firstDelay: 20, longestDelay: 200 });
  host.on("placed", (message) => note("placed", message.name));
  host.on("$record", (message) => note("records", message.record.payload.name));
  host.on("away", (message) => note("away", message));
  host.on("close", () => { seen.closes += 1; keep(); });
  if (seen.count === 0) await host.subscribe({ log: [{ trigger: "order" }] });
  loop = (async () => {
    while (!isOver || seen.count < 40) {
      const orders = [];
      for (let place = 0; place < 10; place += 1) orders.push(host.send("order", { name: `b-${seen.count + place}` }));
      seen.count += 10;
      keep();
      for (const { results } of await Promise.all(orders)) {
        if (results[0].outcome !== "committed") throw new Error(JSON.stringify(results));
      }
    }
  })();
  return host.session !== null;
}

async function end() {
  isOver = true;
  await loop;
  const late = Date.now() + 20000;
  while ((seen.placed.length < seen.count || seen.records.length < seen.count) && Date.now() < late) {
    await new Promise((go) => setTimeout(go, 10));
  }
  return seen;
}

async function refusal(url) {
  const words = [];
  try { await import(url + "/client.js"); words.push("imported"); } catch { words.push("no module"); }
  await new Promise((go) => {
    const socket = new WebSocket(url.replace("http", "ws") + "/v1/ws", ["trigger-host.v1"]);
    socket.onopen = () => { words.push("open"); go(); };
    socket.onclose = (event) => { words.push(event.code); go(); };
  });
  return words;
}
</script>"""


def find():
    """The program; None where there is no Chromium."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


class Pages:
    """Serves the page from an origin of its own."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(PAGE.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()


class Tab:
    """One tab of a browser of our own."""

    def __init__(self, socket):
        self.socket, self.session, self.number, self.loads, self.said = socket, None, 0, 0, []

    async def call(self, method, **params):
        """One command of the protocol, and its result; what is told meanwhile is noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        await self.socket.send(json.dumps(message))
        while (answer := await self.hear()).get("id") != self.number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    async def hear(self):
        message = json.loads(await asyncio.wait_for(self.socket.recv(), 40))
        if message.get("method") == "Page.loadEventFired":
            self.loads += 1
        elif message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
            self.said.append(json.dumps(message["params"])[:300])
        return message

    async def load(self, method, **params):
        before = self.loads
        await self.call(method, **params)
        while self.loads == before:
            await self.hear()

    async def run(self, expression):
        """What an expression, or its promise, comes to."""
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {json.dumps(answer['exceptionDetails'])[:600]}")
        return answer["result"].get("value")


async def opened(program, directory):
    import websockets

    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0",
                 "--no-first-run", f"--user-data-dir={directory}", "about:blank"]
    # With a group of its own, so that its helpers end with it.
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    said = []
    while line := await asyncio.to_thread(process.stderr.readline):
        said.append(line)
        if found := re.search(r"DevTools listening on (ws://\S+)", line):
            break
    else:
        raise RuntimeError(f"Chromium does not start: {''.join(said)[-1000:]}")
    # Nobody reads on, and it must not wait for that.
    threading.Thread(target=functools.partial(shutil.copyfileobj, process.stderr, open(os.devnull, "w")), daemon=True).start()
    tab = Tab(await websockets.connect(found[1], max_size=None, origin=None))
    target = (await tab.call("Target.createTarget", url="about:blank"))["targetId"]
    tab.session = (await tab.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
    for domain in ("Page", "Runtime", "Log"):
        await tab.call(f"{domain}.enable")
    return process, tab


async def close(process, tab):
    """Asks it to end, which its helpers do as well: they write nothing then into a directory that goes."""
    try:
        tab.session = None
        await tab.call("Browser.close")
        await asyncio.to_thread(process.wait, 10)
    except Exception:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def talk(program, host, mine, foreign):
    directory = tempfile.mkdtemp(prefix="chromium-")
    process, tab = await opened(program, directory)
    try:
        url = f"http://127.0.0.1:{host.port}"
        await tab.load("Page.navigate", url=foreign.origin)
        words = await tab.run(f"refusal({url!r})")
        assert words == ["no module", 1006], f"a page of an origin that is not listed: {words}"
        await tab.load("Page.navigate", url=mine.origin)
        await tab.run(f"begin({url!r})")
        for number in range(4):
            await asyncio.sleep(random.uniform(0.05, 0.6))
            await asyncio.to_thread(host.kill)
            if number == 2:
                # While nobody is there: the next page sends what had no answer.
                await tab.load("Page.reload")
                await tab.run(f"begin({url!r}).catch(() => 0)")
            await asyncio.to_thread(host.start)
            if number == 2:
                await tab.load("Page.reload")
                assert await tab.run(f"begin({url!r})"), "the session did not outlive the reload"
        seen = await tab.run("end()")
    finally:
        await close(process, tab)
        shutil.rmtree(directory, ignore_errors=True)
    expected = [f"b-{number}" for number in range(seen["count"])]
    assert seen["placed"] == expected, f"placed: {seen['placed']}, sent {seen['count']}; {tab.said[-3:]}"
    assert seen["records"] == expected, f"records: {seen['records']}, sent {seen['count']}"
    assert seen["away"] == [] and seen["closes"] >= 3, (seen["away"], seen["closes"])
    return f"{seen['count']} orders, 2 reloads, 4 kills, {seen['closes']} breaks"

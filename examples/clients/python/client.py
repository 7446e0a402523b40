"""Talks with a trigger-host over a WebSocket: sends events, gets messages, goes on where it was after a break.

    pip install websockets
    python client.py ws://127.0.0.1:8080 visit '{"page": "home"}'
"""

import asyncio
import itertools
import json
import random
import sys

import websockets


class HostError(Exception):
    """The host refused a message, or nobody knows what came of it. `code` is a word that never changes."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class Client:
    """One session. `on_message` is called with each message that is no answer, in order, each once.

    `tls`: an `ssl.SSLContext` for `wss` with a certificate that the system does not know."""

    def __init__(self, url, token=None, on_message=lambda message: None, on_away=lambda reason: None, tls=None):
        self.url, self.headers = url.rstrip("/") + "/v1/ws", {"Authorization": f"Bearer {token}"} if token else {}
        self.on_message, self.on_away = on_message, on_away
        self.options = {"ssl": tls} if tls else {}
        self.session, self.token = None, 0
        self.ids = itertools.count(1)
        self.waiting = {}  # id -> [text, future, whether it was sent], in the order of sending
        self.socket = None

    async def send(self, type, **fields):
        """Sends an event, again with the same id until there is an answer; returns what came of it, durable.

        With `**{"$wait": "accepted"}` it returns when the event is sure to run."""
        id = next(self.ids)
        future = asyncio.get_running_loop().create_future()
        entry = self.waiting[id] = [json.dumps({**fields, "type": type, "id": id}), future, False]
        await self._write(entry)
        return await future

    async def subscribe(self, **wish):
        """`topics=[...]`, `stores=[...]`, `keys=[{"store": ..., "key": ...}]`, `prefixes=[...]`, `log=[filter]`,
        `executions=[filter]`."""
        return await self.send("$subscribe", **wish)

    async def run(self):
        """Connects, and connects again whenever it has to, until it is cancelled."""
        delay = 0.1
        while True:
            try:
                async with websockets.connect(
                    self._target(), subprotocols=["trigger-host.v1"], additional_headers=self.headers, **self.options
                ) as socket:
                    async for text in socket:
                        delay = 0.1  # A host that is full says nothing, and closes.
                        await self._take(json.loads(text), socket)
            except (OSError, websockets.InvalidHandshake, websockets.ConnectionClosed):
                pass
            finally:
                self.socket = None
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(delay * 2, 30)

    def _target(self):
        return f"{self.url}?session={self.session}&since={self.token}" if self.session else self.url

    async def _write(self, entry):
        if self.socket is None:
            return
        entry[2] = True
        try:
            await self.socket.send(entry[0])
        except websockets.ConnectionClosed:
            pass  # It is sent again.

    async def _take(self, message, socket):
        kind, token = message.get("type"), message.get("token")
        if kind == "$session":
            return await self._begin(message, socket)
        if isinstance(token, int):
            if token <= self.token:
                return
            self.token = token
        if kind in ("$ack", "$subscribed", "$unsubscribed", "$error") and message.get("id") in self.waiting:
            _, future, _ = self.waiting.pop(message["id"])
            if future.done():
                return
            if kind == "$error":
                future.set_exception(HostError(message["code"], message["error"]))
            else:
                future.set_result(message)
        elif kind != "$ack":  # One that nobody waits for answers what was sent twice.
            self.on_message(message)

    async def _begin(self, message, socket):
        is_other = self.session not in (None, message["session"])
        self.session, self.token, self.socket = message["session"], message["token"], socket
        if message.get("reason"):
            self.on_away(message["reason"])
        for id, entry in list(self.waiting.items()):
            # A new session does not know the ids of the old one: sent again, what happened would happen twice.
            if is_other and entry[2]:
                del self.waiting[id]
                entry[1].set_exception(HostError("unknown_outcome", "the session was lost: it happened, or not"))
            else:
                await self._write(entry)


async def main(url, type, fields):
    client = Client(url, on_message=print)
    running = asyncio.create_task(client.run())
    print(await client.send(type, **json.loads(fields)))
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "{}"))

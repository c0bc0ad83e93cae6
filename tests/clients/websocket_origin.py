"""The origin of the WebSocket tests. Arguments as for stand_in.py; prints its port.

Each connection is a JSON line in the log when it has ended: its handshake, what was agreed on, how much was said. It
pings its client first, echoes every message, and closes with a code of its own when asked to.
"""
import asyncio
import json
import ssl
import sys

import websockets

certificate, private_key, api_key, _, log_file, address = sys.argv[1:]


def log(socket, **more):
    key = socket.request_headers.get("x-api-key")
    line = {"path": socket.path, "headers": {k.lower(): v for k, v in socket.request_headers.raw_items()},
            "key": None if key is None else "right" if key == api_key else "wrong",
            "protocol": socket.subprotocol, "extensions": [e.name for e in socket.extensions],
            "closed": socket.close_code, **more}
    with open(log_file, "a") as lines:
        lines.write(json.dumps(line) + "\n")


async def serve(socket):
    messages = 0
    await asyncio.wait_for(await socket.ping(), 20)
    try:
        async for message in socket:
            messages += 1
            if message == "close":
                await socket.close(4001, "as asked")
            else:
                await socket.send(message)
    finally:
        log(socket, messages=messages)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private_key)
    server = await websockets.serve(serve, address, 0, ssl=context, subprotocols=["superchat"],
                                    max_size=None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Future()


asyncio.run(main())

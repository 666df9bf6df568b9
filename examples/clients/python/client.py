"""Receives the messages of a JetStream consumer for as long as it runs, whatever certificates come and go."""

import asyncio
import os
import ssl
from pathlib import Path

import nats
from nats.errors import TimeoutError

CA, CERT, KEY = (os.environ[name] for name in ("NATS_CA", "NATS_CERT", "NATS_KEY"))


async def main():
    context = ssl.create_default_context(cafile=CA)
    context.load_cert_chain(CERT, KEY)
    connection = await nats.connect(os.environ["NATS_URL"], tls=context, max_reconnect_attempts=-1)
    await asyncio.gather(reconnect_on_change(connection, context), receive(connection))


async def reconnect_on_change(connection, context):
    """Looks at the file's content: Kubernetes renews a mounted Secret by a link elsewhere."""
    used = Path(CERT).read_bytes()
    while not connection.is_closed:
        await asyncio.sleep(5)
        content = Path(CERT).read_bytes()
        if content == used:
            continue
        try:
            # nats-py keeps the context for all its connections: what is loaded into it now, the next one shows.
            context.load_verify_locations(CA)
            context.load_cert_chain(CERT, KEY)
        except ssl.SSLError:
            continue  # read just while the files changed
        used = content
        try:
            # What has been published is with the server before the connection ends.
            await connection.flush()
        except nats.errors.Error:
            pass  # the connection is down, and shows the new certificate when it comes back
        await connection.force_reconnect()


async def receive(connection):
    subscription = await connection.jetstream().pull_subscribe_bind(
        os.environ["NATS_CONSUMER"], stream=os.environ["NATS_STREAM"]
    )
    while not connection.is_closed:
        try:
            for message in await subscription.fetch(100, timeout=5):
                print(message.data.decode(), flush=True)
                await message.ack()
        except TimeoutError:
            pass  # no message for so long


asyncio.run(main())

// Receives the messages of a JetStream consumer for as long as it runs, whatever certificates come and go.
import { watchFile } from 'node:fs';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';

const { NATS_URL, NATS_CA, NATS_CERT, NATS_KEY, NATS_STREAM, NATS_CONSUMER } = process.env;

const connection = await connect({
  servers: NATS_URL,
  // By path, not by content: the files are then read again for each connection.
  tls: { caFile: NATS_CA, certFile: NATS_CERT, keyFile: NATS_KEY },
  maxReconnectAttempts: -1,
});

// By the file's time: Kubernetes renews a mounted Secret by a link elsewhere, which a watch for events may miss.
watchFile(NATS_CERT, { interval: 5_000 }, async () => {
  // What has been published is with the server before the connection ends. One that is down fails here, and reads the new
  // files when it comes back.
  await connection.flush().catch(() => {});
  await connection.reconnect();
});

const consumer = await jetstream(connection).consumers.get(NATS_STREAM, NATS_CONSUMER);
for await (const message of await consumer.consume()) {
  console.log(message.string());
  message.ack();
}

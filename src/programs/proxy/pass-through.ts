import type { Socket } from 'node:net';

const BEHIND_BYTES = 1024 * 1024;

/** Two sockets that are one connection from now on: replication, which belongs to one server for as long as it lasts. */
export function passThrough(
  client: Socket,
  server: Socket,
): {
  readonly fromClient: (bytes: Buffer, length: number) => void;
  readonly fromServer: (bytes: Buffer, length: number) => void;
} {
  const end = () => {
    client.destroy();
    server.destroy();
  };
  for (const socket of [client, server]) {
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }
  return { fromClient: copy(client, server), fromServer: copy(server, client) };
}

function copy(from: Socket, to: Socket): (bytes: Buffer, length: number) => void {
  return (bytes, length) => {
    to.write(Buffer.from(bytes.subarray(0, length)));
    if (to.writableLength < BEHIND_BYTES) return;
    from.pause();
    to.once('drain', () => from.resume());
  };
}

import { createServer, type Server, Socket, type SocketConstructorOpts } from 'node:net';

/** A whole result of most statements; four times what a socket's buffer on loopback hands over at once. */
const BYTES = 64 * 1024;

const shared = Buffer.allocUnsafeSlow(BYTES);

/**
 * One buffer that every plain socket reads into: what arrives is scanned and passed on before the next read, so nothing is allocated
 * for it. Nobody may keep a part of it, and so nobody may hand one to a socket, which keeps what it cannot send at once: Node.js fixes
 * where a socket reads next at its last read, so other sockets read into this memory whatever is agreed upon meanwhile.
 */
export const sharedBuffer = {
  holds(bytes: Buffer): boolean {
    return bytes.buffer === shared.buffer;
  },
};

export type Receive = (bytes: Buffer, length: number) => void;

/** For `new Socket` and `connect`: `receive` gets what was read, good until it returns. */
export function readInto(receive: Receive): Required<Pick<SocketConstructorOpts, 'onread'>> {
  return {
    onread: {
      buffer: shared,
      callback: (length, bytes) => {
        receive(bytes as Buffer, length);
        return true;
      },
    },
  };
}

interface Handle {
  reading: boolean;
  readStart(): number;
}

/**
 * A server whose accepted sockets are given out before anything is read from them. `net.createServer` offers no `onread`, so `adopt`
 * moves the handle of an accepted socket into one that has it (documented for `new net.Socket` alone).
 */
export function listenPaused(onSocket: (socket: Socket) => void): Server {
  return createServer({ pauseOnConnect: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, onSocket);
}

/** The same connection, read into the shared buffer. Undefined where this Node.js keeps no handle to move. */
export function adopt(accepted: Socket, receive: Receive): Socket | undefined {
  const inner = accepted as unknown as { _handle: Handle | null };
  const handle = inner._handle;
  if (handle === null || typeof handle.readStart !== 'function') return undefined;
  inner._handle = null;
  const socket = new Socket({ handle, ...readInto(receive) } as unknown as SocketConstructorOpts);
  accepted.removeAllListeners();
  handle.reading = true;
  handle.readStart();
  return socket;
}

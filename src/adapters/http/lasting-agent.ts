import type { Agent, AgentOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Agent as HttpAgent } from './node-http.ts';

/** A connection in the making is given up after this: a lost first packet, sent again after a second, and a slow wire fit in. */
const CONNECT_TIMEOUT_MS = 5000;
/** Of its sockets; when more are in the making, the oldest of these goes if it hangs, so that there is room for others. */
const CONNECTING_SHARE = 0.25;
const HANGS_AFTER_MS = 1000;

type Done = ((error: Error | null, stream: Duplex) => void) | undefined;

/**
 * Connections that outlive the call that asked for them: where a handshake and an answer together take longer than a call may, the next
 * call finds the handshake done. With Node's own agents it would be begun, and given up, every time.
 */
class Connecting {
  /** When each was begun, oldest first. */
  readonly #sockets = new Map<Socket, number>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  hand(socket: Socket, openEvent: 'connect' | 'secureConnect', done: Done): undefined {
    this.#makeRoom();
    this.#sockets.set(socket, performance.now());
    const timer = setTimeout(
      () => socket.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
      CONNECT_TIMEOUT_MS,
    );
    const settle = () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
      socket.off('error', onError).off('close', onClose);
    };
    const onError = (error: Error) => {
      settle();
      done?.(error, socket);
    };
    const onClose = () => onError(new Error('the connection was closed in the making'));
    socket.once('error', onError).once('close', onClose);
    socket.once(openEvent, () => {
      settle();
      done?.(null, socket);
    });
  }

  #makeRoom(): void {
    const [oldest] = this.#sockets;
    if (oldest === undefined || this.#sockets.size < this.#most) return;
    const [socket, begunAt] = oldest;
    if (performance.now() - begunAt > HANGS_AFTER_MS) socket.destroy(new Error('others connect already'));
  }

  close(): void {
    for (const socket of this.#sockets.keys()) socket.destroy();
  }
}

export function lastingAgent(protocol: string, options: AgentOptions & { readonly maxSockets: number }): Agent {
  const connecting = new Connecting(Math.ceil(options.maxSockets * CONNECTING_SHARE));
  const [agent, openEvent] =
    protocol === 'http:' ? ([new HttpAgent(options), 'connect'] as const) : ([new HttpsAgent(options), 'secureConnect'] as const);
  const connect = agent.createConnection.bind(agent);
  const destroy = agent.destroy.bind(agent);
  agent.createConnection = (to: object, done?: Done) => connecting.hand(connect(to) as Socket, openEvent, done);
  agent.destroy = () => {
    connecting.close();
    destroy();
  };
  return agent;
}

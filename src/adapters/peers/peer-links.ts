import type { TLSSocket } from 'node:tls';
import type { MemberName } from '#domain/member.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { IncomingLink } from './incoming-link.ts';
import { OutgoingLink, type PeerAddress } from './outgoing-link.ts';

export interface PeerLinksOptions {
  readonly self: MemberName;
  readonly tls: TlsIdentity;
  /** `from` is the name in the sender's certificate. */
  onMessage(from: MemberName, json: unknown): void;
  /**
   * The peer closed its end of a link that was up: its process, or its API, has ended. A peer that merely falls silent (stopped,
   * cut off) is not reported. Called once a loss.
   */
  onLost(peer: MemberName): void;
}

/**
 * Messages between agents: best effort, in order while a link lasts, dropped rather than kept. Every member dials every other one
 * and sends over the link that it dialled, so that no two of them have to agree on one.
 */
export interface PeerLinks {
  /** All the other members. Links to those that are missing, or have moved, are closed. */
  setPeers(peers: ReadonlyMap<MemberName, PeerAddress>): void;
  /** False when the message was dropped: no link, a peer that does not read, or more than 64 KiB of JSON. */
  send(to: MemberName, json: unknown): boolean;
  /** For links that are dialled from now on; open ones go on. */
  setIdentity(tls: TlsIdentity): void;
  /** For `onUpgrade` of the API server. */
  accept(socket: TLSSocket, head: Buffer, from: MemberName): void;
  /** Those that a message can be sent to now. */
  connected(): readonly MemberName[];
  close(): void;
}

const CHECK_INTERVAL_MS = 500;
/** Every certified member may dial, known or not yet; one link each. */
const MAX_INCOMING = 64;

export function createPeerLinks(options: PeerLinksOptions): PeerLinks {
  let { tls } = options;
  const outgoing = new Map<MemberName, OutgoingLink>();
  const incoming = new Map<MemberName, IncomingLink>();
  const check = setInterval(() => {
    const now = performance.now();
    for (const link of outgoing.values()) link.check(now);
  }, CHECK_INTERVAL_MS);

  function closeOutgoing(peer: MemberName): void {
    outgoing.get(peer)?.close();
    outgoing.delete(peer);
  }

  return {
    setPeers(peers) {
      for (const peer of [...outgoing.keys()]) if (!peers.has(peer)) closeOutgoing(peer);
      for (const [peer, address] of peers) {
        if (peer === options.self) continue;
        const present = outgoing.get(peer)?.address;
        if (present?.host === address.host && present.port === address.port) continue;
        closeOutgoing(peer);
        outgoing.set(peer, new OutgoingLink({ peer, address, tls: () => tls, onLost: () => options.onLost(peer) }));
      }
    },

    send(to, json) {
      const link = outgoing.get(to);
      return link?.isUp === true && link.send(Buffer.from(`${JSON.stringify(json)}\n`));
    },

    setIdentity(next) {
      tls = next;
    },

    accept(socket, head, from) {
      // The newest is the one that the peer uses; an older one is what is left of an earlier life of it.
      incoming.get(from)?.close();
      if (from === options.self || (incoming.size >= MAX_INCOMING && !incoming.has(from))) return void socket.destroy();
      const link = new IncomingLink(
        socket,
        head,
        (json) => options.onMessage(from, json),
        () => incoming.get(from) === link && incoming.delete(from),
      );
      incoming.set(from, link);
      outgoing.get(from)?.hurry();
    },

    connected() {
      return [...outgoing].flatMap(([peer, link]) => (link.isUp ? [peer] : []));
    },

    close() {
      clearInterval(check);
      for (const peer of [...outgoing.keys()]) closeOutgoing(peer);
      for (const link of incoming.values()) link.close();
      incoming.clear();
    },
  };
}

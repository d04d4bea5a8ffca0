import type { Socket } from 'node:net';
import type { SessionState } from '#core/pool/session-state.ts';
import type { Reported } from './reported.ts';
import type { SessionHome } from './session-home.ts';

/** What a session is made of, once its client has logged in. */
export interface SessionParts {
  readonly socket: Socket;
  readonly pid: number;
  readonly secret: Buffer;
  readonly login: string;
  readonly database: string;
  readonly home: SessionHome;
  readonly initial: SessionState;
  readonly signature: string;
  readonly reported: Reported;
  readonly now: number;
}

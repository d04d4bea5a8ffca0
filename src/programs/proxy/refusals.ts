import { readErrorFields } from '#wire/decode-backend.ts';

/** An error to a client, without its severity. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

const KINDS = {
  transactionLost: {
    code: '40001',
    message: 'the transaction was rolled back: the connection to the primary was lost',
    hint: 'Run the transaction again.',
  },
  outcomeUnknown: {
    code: '08007',
    message: 'it is not known whether the transaction was committed: the connection to the primary was lost before it answered',
    hint: 'Look whether what it did is there before you do it again.',
  },
  readLost: {
    code: '40001',
    message: 'the answer was cut off: the connection to the primary was lost',
    hint: 'Ask again.',
  },
  cutOff: {
    code: '57P01',
    message: 'the connection to the primary was lost in the middle of a message',
    hint: 'Connect again.',
  },
  pinLost: {
    code: '57P01',
    message: 'the state of this session was lost with the connection to the primary',
    hint: 'Connect again, and make again what the session had made.',
  },
  stateLost: {
    code: '55000',
    message: 'the settings of this session could not be made on another server connection',
    hint: 'Connect again.',
  },
  waited: {
    code: '53300',
    message: 'no server connection came free in time',
    hint: 'Raise `limits.serversPerPool`, or find what keeps the connections busy.',
  },
  unreachable: { code: '08006', message: 'no connection to the server could be opened' },
  queueFull: {
    code: '53300',
    message: 'too many clients wait for a server connection',
    hint: 'Raise `limits.serversPerPool`, or find what keeps the connections busy.',
  },
  noPrimary: {
    code: '57P03',
    message: 'there was no primary in time',
    hint: '`matriarch status` says what the cluster waits for.',
  },
  loginTimeout: { code: '57014', message: 'canceling authentication due to timeout' },
  tooManyClients: { code: '53300', message: 'sorry, too many clients already' },
  shuttingDown: { code: '57P01', message: 'terminating connection due to administrator command' },
  protocol: { code: '08P01', message: 'invalid message' },
  outOfMemory: {
    code: '53200',
    message: 'out of memory: clients have sent too much that no server has read yet',
    hint: 'Send large values with COPY, or when fewer clients do.',
  },
  tooLarge: { code: '54000', message: 'the message is too large' },
  tooManyStatements: {
    code: '53200',
    message: 'this session has too many prepared statements',
    hint: 'Close statements that are no longer used.',
  },
  queryTimeout: { code: '57014', message: 'canceling statement due to the query timeout of the proxy' },
  cancelled: { code: '57014', message: 'canceling statement due to user request' },
  idleInTransaction: { code: '25P03', message: 'terminating connection due to idle-in-transaction timeout' },
  clientIdle: { code: '57P05', message: 'terminating connection due to idle-session timeout' },
} satisfies Record<string, Refusal>;

export type RefusalKind = keyof typeof KINDS;

/** `detail`: what is known besides, as text or as the server's own error. */
export function refusal(kind: RefusalKind, detail?: string | Buffer): Refusal {
  const refused: Refusal = KINDS[kind];
  if (detail === undefined) return refused;
  const fields = typeof detail === 'string' ? undefined : readErrorFields(detail);
  const text = typeof detail === 'string' ? detail : `${fields?.get('C') ?? ''} ${fields?.get('M') ?? ''}`;
  return { ...refused, detail: text.trim() };
}

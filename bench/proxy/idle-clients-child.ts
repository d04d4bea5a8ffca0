// Opens logged-in connections that then do nothing, so that they cost another process than the one that measures. Over its standard
// input: one line of JSON. Prints how many are open, and holds them until its input ends.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseScramVerifier } from '#wire/scram-verifier.ts';
import { RawClient } from '../../test/support/raw-client.ts';

export interface IdleClientsOrder {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  /** Base64. */
  readonly clientKey: string;
  readonly verifier: string;
  readonly count: number;
}

const AT_ONCE = 20;

const lines = createInterface({ input: process.stdin });
const [line] = (await once(lines, 'line')) as [string];
const { clientKey, verifier: text, count, ...address }: IdleClientsOrder = JSON.parse(line);
const verifier = parseScramVerifier(text);
if (verifier === undefined) throw new Error('no SCRAM verifier');
const login = { ...address, secret: { kind: 'clientKey', clientKey: Buffer.from(clientKey, 'base64'), verifier } as const };
const clients: RawClient[] = [];
let failure: string | null = null;

async function open(): Promise<void> {
  while (clients.length < count && failure === null) {
    const at = clients.length;
    clients.length = at + 1;
    try {
      clients[at] = await RawClient.connect(login);
    } catch (error) {
      failure = (error as Error).message;
    }
  }
}

await Promise.all(Array.from({ length: AT_ONCE }, open));
const opened = clients.filter((client) => client?.open).length;
process.stdout.write(`${JSON.stringify({ opened, failure })}\n`);
await once(lines, 'close');
process.exit();

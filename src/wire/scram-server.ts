import { randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { BINDING_TYPE, hash, hmac, KEY_BYTES, SCRAM, SCRAM_PLUS, xor } from './scram-keys.ts';
import { printable, ScramReader } from './scram-reader.ts';
import { malformed, orRefusal, ScramError, type ScramRefusal } from './scram-refusal.ts';
import { DEFAULT_ITERATIONS, type ScramVerifier } from './scram-verifier.ts';

export interface ScramServerOptions {
  /** Null: there is no such role, or it has no SCRAM verifier. The exchange looks the same, and fails. */
  readonly verifier: ScramVerifier | null;
  /** Of this proxy, the same for as long as it should give a missing role the same salt. At least 16 bytes. */
  readonly mockSecret: Buffer;
  /** Iterations that a missing role seems to have: those of most roles. */
  readonly mockIterations?: number;
  readonly user: string;
  /** As the client chose it; another one than SCRAM-SHA-256 and -PLUS is refused. */
  readonly mechanism: string;
  /** `tlsServerEndPoint` of our certificate where -PLUS was offered; null: it was not. */
  readonly channelBinding: Buffer | null;
}

const SALT_BYTES = 16;
const NONCE_BYTES = 18;

const BINDING_MISSING = 'The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.';
const BINDING_UNEXPECTED =
  'The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.';
const BINDING_STRIPPED =
  'The client supports SCRAM channel binding but thinks the server does not.  However, this server does support channel binding.';

/** The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677), checked as PostgreSQL's auth-scram.c checks. */
export class ScramServer {
  readonly #options: ScramServerOptions;
  readonly #verifier: ScramVerifier;
  readonly #known: boolean;
  #gs2Header = '';
  #nonce = '';
  #clientFirstBare = '';
  #serverFirst = '';
  #state: 'first' | 'final' | 'done' = 'first';

  constructor(options: ScramServerOptions) {
    this.#options = options;
    this.#known = options.verifier !== null;
    this.#verifier = options.verifier ?? mockVerifier(options);
  }

  /** `data`: of AuthenticationSASLContinue. */
  first(clientFirst: Buffer): { readonly ok: true; readonly data: Buffer } | ScramRefusal {
    return orRefusal(() => {
      this.#enter('first', 'final');
      this.#readFirst(clientFirst);
      const { salt, iterations } = this.#verifier;
      this.#serverFirst = `r=${this.#nonce},s=${salt.toString('base64')},i=${iterations}`;
      return { ok: true, data: Buffer.from(this.#serverFirst, 'latin1') } as const;
    });
  }

  /**
   * `data`: of AuthenticationSASLFinal. `clientKey`: with it and the verifier one can log in to a server that has the same verifier:
   * a secret.
   */
  final(clientFinal: Buffer): { readonly ok: true; readonly data: Buffer; readonly clientKey: Buffer } | ScramRefusal {
    return orRefusal(() => {
      this.#enter('final', 'done');
      const { proof, withoutProof } = this.#readFinal(clientFinal);
      const authMessage = Buffer.from(`${this.#clientFirstBare},${this.#serverFirst},${withoutProof}`, 'latin1');
      const clientKey = xor(proof, hmac(this.#verifier.storedKey, authMessage));
      const proven = timingSafeEqual(hash(clientKey), this.#verifier.storedKey);
      const signature = hmac(this.#verifier.serverKey, authMessage).toString('base64');
      // Everything was computed first: a missing role must not answer sooner.
      if (!proven || !this.#known) {
        throw new ScramError('28P01', `password authentication failed for user "${this.#options.user}"`);
      }
      return { ok: true, data: Buffer.from(`v=${signature}`, 'latin1'), clientKey } as const;
    });
  }

  #enter(expected: 'first' | 'final', next: 'final' | 'done'): void {
    if (this.#state !== expected) throw malformed('The message is out of order.');
    // Before anything is read: a message that was refused has no second try.
    this.#state = 'done';
    const { mechanism, channelBinding } = this.#options;
    if (mechanism !== SCRAM && !(mechanism === SCRAM_PLUS && channelBinding !== null)) {
      throw new ScramError('08P01', 'client selected an invalid SASL authentication mechanism');
    }
    this.#state = next;
  }

  #readFirst(message: Buffer): void {
    const reader = new ScramReader(message);
    this.#readBindingFlag(reader);
    if (reader.peek() === 'a') throw new ScramError('0A000', 'client uses authorization identity, but it is not supported');
    if (reader.peek() !== ',') throw malformed(`Unexpected attribute "${printable(reader.peek())}" in client-first-message.`);
    reader.skip();
    this.#gs2Header = reader.text.slice(0, reader.at);
    this.#clientFirstBare = reader.text.slice(reader.at);
    if (reader.peek() === 'm') throw new ScramError('0A000', 'client requires an unsupported SCRAM extension');
    // PostgreSQL goes by the user of the startup packet, and libpq sends an empty one here.
    reader.attribute('n');
    const clientNonce = reader.attribute('r');
    if (!/^[\x21-\x2b\x2d-\x7e]*$/.test(clientNonce)) throw new ScramError('08P01', 'non-printable characters in SCRAM nonce');
    while (!reader.ended) reader.anyAttribute();
    this.#nonce = `${clientNonce}${randomBytes(NONCE_BYTES).toString('base64')}`;
  }

  #readBindingFlag(reader: ScramReader): void {
    const bound = this.#options.mechanism === SCRAM_PLUS;
    const flag = reader.peek();
    if (flag === 'p') {
      if (!bound) throw malformed(BINDING_UNEXPECTED);
      const type = reader.attribute('p');
      if (type === BINDING_TYPE) return;
      throw new ScramError('08P01', `unsupported SCRAM channel-binding type "${[...type].map(printableOrMark).join('')}"`);
    }
    if (flag !== 'n' && flag !== 'y') throw malformed(`Unexpected channel-binding flag "${printable(flag)}".`);
    if (bound) throw malformed(BINDING_MISSING);
    if (flag === 'y' && this.#options.channelBinding !== null) {
      throw new ScramError('28000', 'SCRAM channel binding negotiation error', BINDING_STRIPPED);
    }
    reader.skip();
    reader.comma();
  }

  #readFinal(message: Buffer): { readonly proof: Buffer; readonly withoutProof: string } {
    const reader = new ScramReader(message);
    this.#checkBinding(reader.attribute('c'));
    const nonce = reader.attribute('r');
    let proofAt = reader.at;
    let attribute = reader.anyAttribute();
    while (attribute.name !== 'p') {
      proofAt = reader.at;
      attribute = reader.anyAttribute();
    }
    const proof = decodeBase64(attribute.value);
    if (proof?.length !== KEY_BYTES) throw malformed('Malformed proof in client-final-message.');
    if (!reader.ended) throw malformed('Garbage found at the end of client-final-message.');
    if (nonce !== this.#nonce) throw new ScramError('08P01', 'invalid SCRAM response', 'Nonce does not match.');
    return { proof, withoutProof: reader.text.slice(0, proofAt - 1) };
  }

  #checkBinding(attribute: string): void {
    const { mechanism, channelBinding } = this.#options;
    const header = Buffer.from(this.#gs2Header, 'latin1');
    if (mechanism === SCRAM_PLUS) {
      const expected = Buffer.concat([header, channelBinding ?? Buffer.alloc(0)]).toString('base64');
      if (attribute !== expected) throw new ScramError('28000', 'SCRAM channel binding check failed');
    } else if (attribute !== header.toString('base64')) {
      throw new ScramError('08P01', 'unexpected SCRAM channel-binding attribute in client-final-message');
    }
  }
}

/** A salt that is the same whenever the name is tried, as PostgreSQL's mock authentication has it. */
function mockVerifier({ mockSecret, user, mockIterations = DEFAULT_ITERATIONS }: ScramServerOptions): ScramVerifier {
  const salt = hmac(mockSecret, user).subarray(0, SALT_BYTES);
  return { iterations: mockIterations, salt, storedKey: Buffer.alloc(KEY_BYTES), serverKey: Buffer.alloc(KEY_BYTES) };
}

function printableOrMark(character: string): string {
  return /^[\x21-\x7e]$/.test(character) ? character : '?';
}

import { pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { saslprep } from './saslprep.ts';
import { BINDING_TYPE, hash, hmac, KEY_BYTES, SCRAM, SCRAM_PLUS, type ScramMechanism, xor } from './scram-keys.ts';
import type { ScramVerifier } from './scram-verifier.ts';

/** What the client knows: the password, or the key that a client of ours has shown together with the verifier it was checked by. */
export type ScramSecret =
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'clientKey'; readonly clientKey: Buffer; readonly verifier: ScramVerifier };

export interface ScramClientOptions {
  readonly secret: ScramSecret;
  /** Of AuthenticationSASL. */
  readonly mechanisms: readonly string[];
  /** `tlsServerEndPoint` of the server's certificate; null: without TLS, or for a certificate that has none. */
  readonly channelBinding: Buffer | null;
  /** More are refused: they are the server's to name, and cost this side the time. Default 100,000. */
  readonly maxIterations?: number;
}

export type ScramContinuation =
  | { readonly ok: true; readonly data: Buffer }
  /**
   * `otherVerifier`: the server's salt or iterations are not those of the verifier, so the key is of no use here: the role's password
   * was changed.
   */
  | { readonly ok: false; readonly reason: 'malformed' | 'nonce' | 'iterations' | 'otherVerifier'; readonly message: string };

interface Keys {
  readonly clientKey: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

const NONCE_BYTES = 18;
const DEFAULT_MAX_ITERATIONS = 100_000;

/** The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 7677). For one exchange. */
export class ScramClient {
  readonly #options: ScramClientOptions;
  readonly #nonce = randomBytes(NONCE_BYTES).toString('base64');
  #serverFinal: Buffer | undefined;

  constructor(options: ScramClientOptions) {
    this.#options = options;
  }

  /** For saslInitialResponse; undefined when the server offers neither mechanism. -PLUS wherever both sides can. */
  first(): { readonly mechanism: ScramMechanism; readonly data: Buffer } | undefined {
    const mechanism = this.#mechanism();
    if (mechanism === undefined) return undefined;
    return { mechanism, data: Buffer.from(`${this.#gs2Header()}${this.#firstBare()}`) };
  }

  /** For saslResponse. A password is hashed outside the event loop. */
  async continue(serverFirst: Buffer): Promise<ScramContinuation> {
    const text = serverFirst.toString('latin1');
    const [, nonce = '', saltText = '', count] = /^r=([\x21-\x2b\x2d-\x7e]+),s=([^,]+),i=([1-9]\d{0,9})$/.exec(text) ?? [];
    const salt = decodeBase64(saltText);
    const iterations = Number(count);
    if (nonce === '' || salt === undefined) return refuse('malformed', 'malformed SCRAM message of the server');
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      return refuse('nonce', 'invalid SCRAM message of the server: nonce does not match');
    }
    const { maxIterations = DEFAULT_MAX_ITERATIONS } = this.#options;
    if (this.#options.secret.kind === 'password' && iterations > maxIterations) {
      return refuse('iterations', `the server asks for ${iterations} iterations of SCRAM, the limit is ${maxIterations}`);
    }
    const keys = await this.#keys(salt, iterations);
    if (keys === undefined)
      return refuse('otherVerifier', "the server's SCRAM verifier is another one: the password has changed");
    return { ok: true, data: this.#prove(keys, text, nonce) };
  }

  /** Whether the server knows the verifier: false ends the connection. */
  verify(serverFinal: Buffer): boolean {
    const expected = this.#serverFinal;
    return expected !== undefined && serverFinal.length === expected.length && timingSafeEqual(serverFinal, expected);
  }

  #prove({ clientKey, storedKey, serverKey }: Keys, serverFirst: string, nonce: string): Buffer {
    const header = Buffer.from(this.#gs2Header());
    const { channelBinding } = this.#options;
    const bound = this.#mechanism() === SCRAM_PLUS && channelBinding !== null ? Buffer.concat([header, channelBinding]) : header;
    const withoutProof = `c=${bound.toString('base64')},r=${nonce}`;
    const authMessage = `${this.#firstBare()},${serverFirst},${withoutProof}`;
    const proof = xor(clientKey, hmac(storedKey, authMessage));
    this.#serverFinal = Buffer.from(`v=${hmac(serverKey, authMessage).toString('base64')}`);
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }

  async #keys(salt: Buffer, iterations: number): Promise<Keys | undefined> {
    const { secret } = this.#options;
    if (secret.kind === 'clientKey') {
      const { clientKey, verifier } = secret;
      if (iterations !== verifier.iterations || !salt.equals(verifier.salt)) return undefined;
      return { clientKey, storedKey: verifier.storedKey, serverKey: verifier.serverKey };
    }
    const salted = await stretch(await saslprep(secret.password), salt, iterations);
    const clientKey = hmac(salted, 'Client Key');
    return { clientKey, storedKey: hash(clientKey), serverKey: hmac(salted, 'Server Key') };
  }

  #mechanism(): ScramMechanism | undefined {
    const { mechanisms, channelBinding } = this.#options;
    if (channelBinding !== null && mechanisms.includes(SCRAM_PLUS)) return SCRAM_PLUS;
    return mechanisms.includes(SCRAM) ? SCRAM : undefined;
  }

  #gs2Header(): string {
    if (this.#mechanism() === SCRAM_PLUS) return `p=${BINDING_TYPE},,`;
    // 'y': a server that did offer -PLUS then knows that somebody between us took the offer away.
    return this.#options.channelBinding === null ? 'n,,' : 'y,,';
  }

  #firstBare(): string {
    return `n=,r=${this.#nonce}`;
  }
}

function stretch(password: string, salt: Buffer, iterations: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, KEY_BYTES, 'sha256', (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

function refuse(reason: 'malformed' | 'nonce' | 'iterations' | 'otherVerifier', message: string): ScramContinuation {
  return { ok: false, reason, message };
}

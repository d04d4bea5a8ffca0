import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { validate } from '#domain/config/parse-config.ts';
import { type ProxyFile, proxyFileSchema, type SharedProxyConfig } from '#domain/config/proxy-config.ts';
import { type ReadDocument, readDocument } from '#domain/config/read-document.ts';
import { fail } from '#domain/errors.ts';

/** The options of `matriarch proxy` as the command line gives them; what is missing was not said. */
export interface ProxyArguments {
  readonly config?: string;
  readonly agents?: string;
  readonly tlsDir?: string;
  readonly dir?: string;
  readonly servers?: string;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly listen?: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** Where the settings of a proxy come from, the first that says something winning: command line, file, cluster, defaults. */
export class ProxySettings {
  readonly #given: ProxyArguments;
  #file: ReadDocument | undefined;
  #shared: SharedProxyConfig = {};

  constructor(given: ProxyArguments) {
    this.#given = given;
  }

  get path(): string | undefined {
    return this.#given.config === undefined ? undefined : resolve(this.#given.config);
  }

  /** Reads the file anew. When it is refused, the settings stay as they were. Errors: `config.…`. */
  read(): ProxyFile {
    const file = this.path === undefined ? undefined : readDocument(readText(this.path), this.path);
    const settings = this.#compose(file, this.#shared);
    this.#file = file;
    return settings;
  }

  /** What the cluster says from now on. Errors: `config.invalid`, as of `read`. */
  share(shared: SharedProxyConfig): ProxyFile {
    const settings = this.#compose(this.#file, shared);
    this.#shared = shared;
    return settings;
  }

  #compose(file: ReadDocument | undefined, shared: SharedProxyConfig): ProxyFile {
    const place = this.path ?? 'command line';
    const said = file?.value ?? {};
    // What is no object is refused as a whole.
    if (!isFields(said)) return validate(proxyFileSchema, said, place, file);
    const { limits = {}, timeouts = {}, listen, source } = said;
    const value = {
      ...said,
      ...(isFields(limits) ? { limits: { ...shared.limits, ...limits } } : {}),
      ...(isFields(timeouts) ? { timeouts: { ...shared.timeouts, ...timeouts } } : {}),
      ...listenOf(this.#given, listen),
      ...sourceOf(this.#given, source),
    };
    return validate(proxyFileSchema, value, place, file);
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return fail('config.unreadable', (error as Error).message, error);
  }
}

function listenOf({ listen }: ProxyArguments, said: unknown): Fields {
  if (listen === undefined) return {};
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:]+)):(\d{1,5})$/.exec(listen);
  if (match === null) return fail('usage.invalidArgument', `--listen ${listen}: it must be HOST:PORT`);
  return { listen: { ...(isFields(said) ? said : {}), host: match[1] ?? match[2], port: Number(match[3]) } };
}

/** The one source that the command line names, with what the file says of the same kind. Errors: `usage.invalidArgument`. */
function sourceOf(given: ProxyArguments, said: unknown): Fields {
  const { agents, dir, servers, user, passwordFile, tlsDir } = given;
  const named = [agents, dir, servers].filter((one) => one !== undefined);
  if (named.length > 1)
    fail('usage.invalidArgument', '--agents, --dir and --servers name three kinds of source; say one of them');
  const fromFile = isFields(said) ? said : {};
  const kind =
    agents !== undefined ? 'agents' : dir !== undefined ? 'cluster' : servers !== undefined ? 'servers' : fromFile.kind;
  const own: Fields = {
    ...(agents === undefined ? {} : { agents: agents.split(',') }),
    ...(dir === undefined ? {} : { dir: resolve(dir) }),
    ...(servers === undefined ? {} : { servers: servers.split(',') }),
    ...(tlsDir === undefined ? {} : { tlsDir: resolve(tlsDir) }),
    ...(user === undefined ? {} : { user }),
    ...(passwordFile === undefined ? {} : { passwordFile: resolve(passwordFile) }),
  };
  if (kind === undefined)
    return said !== undefined || given.config !== undefined
      ? {}
      : fail('usage.invalidArgument', 'say where the servers are: --config, --agents, --dir or --servers');
  if (Object.keys(own).length === 0) return {};
  return { source: { ...(fromFile.kind === kind ? fromFile : {}), kind, ...own } };
}

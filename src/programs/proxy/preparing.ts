import { EFFECT } from '#sql/effects.ts';
import type { StatementFacts } from '#sql/read-statement.ts';
import { readStatement } from '#sql/read-statement.ts';
import { parseComplete } from '#wire/encode-backend.ts';
import { close } from '#wire/encode-frontend.ts';
import { FRONTEND } from '#wire/message-types.ts';
import { renameParse, renameTarget } from '#wire/rename-statement.ts';
import type { ClientSession } from './client-session.ts';
import { Group } from './group.ts';
import { noteStatement, noteUnknown } from './note-statement.ts';
import { passUnknown } from './pass-unknown.ts';
import { NAME_PREFIX, type Statement } from './prepared-on-server.ts';
import { refusal } from './refusals.ts';
import { type ServerConnection, toClients, toServers } from './server-connection.ts';
import { merge, nameIn, prepared, replaceName, STATEMENT, touchesNames } from './statement-messages.ts';
import { factsOf } from './statements.ts';
import { TRANSACTION } from './transaction-status.ts';
import { type Unnamed, unnamedStatement } from './unnamed-statement.ts';

const HEADER = Buffer.allocUnsafeSlow(5);
const NOTHING = () => {};
/** Named statements of one client. */
const MOST_NAMES = 10_000;

/** The statements of one client: texts as they come, and prepared ones under names of the proxy's own on whichever server runs them. */
export class Preparing {
  readonly #session: ClientSession;
  readonly #names = new Map<string, Statement>();
  unnamed: Unnamed | null = null;
  /** As the client called statements that it may not have any more: an error that is on its way may name them. */
  readonly #called = new Map<number, string>();
  /** The last group that takes or frees a name; of those that have been answered too, until the next look. */
  readonly #unsettled = new Map<string, Group>();
  /** A group that may take or free any name. */
  #allUnsettled: Group | null = null;

  constructor(session: ClientSession) {
    this.#session = session;
  }

  readonly clientName = (id: number): string | undefined => {
    for (const [name, statement] of this.#names) if (statement.id === id) return name;
    return this.#called.get(id);
  };

  /**
   * What a message means depends on names that an earlier group of the pipeline takes or frees, and that may yet fail. Within its own
   * group an error passes it over anyway.
   */
  mustWait(server: ServerConnection, type: number, bytes: Buffer, from: number, to: number): boolean {
    if (this.#unsettled.size === 0 && this.#allUnsettled === null) return false;
    if (!server.isBusy) {
      this.#unsettled.clear();
      this.#allUnsettled = null;
      return false;
    }
    const isPending = (group: Group) => group !== this.#session.open && server.expected.includes(group);
    if (this.#allUnsettled !== null && (isPending(this.#allUnsettled) || this.#session.probing)) return true;
    const name = nameIn(type, bytes, from, to);
    const group = name === null ? undefined : this.#unsettled.get(name);
    if (group !== undefined) return isPending(group);
    const names = type === FRONTEND.query || (type === FRONTEND.parse && name === '');
    return names && [...this.#unsettled.values()].some(isPending);
  }

  /** What the client has prepared by this name. */
  statementOf(name: string): Statement | undefined {
    return this.#names.get(name);
  }

  /** What EXECUTE in a text runs; null: nothing, or nothing that is known. */
  executedBy({ named, statements, effects }: StatementFacts): StatementFacts | null {
    const { home, state } = this.#session;
    if (named === null) return statements > 1 && (effects & EFFECT.prepared) !== 0 ? UNKNOWN : null;
    if (named.verb !== 'execute') return null;
    const own = this.#names.get(named.name);
    if (own !== undefined) return factsOf(own, home.watch.hazards);
    const text = Buffer.from(state.prepared.get(named.name) ?? '');
    return readStatement(text, 0, text.length, home.watch.hazards);
  }

  /** A statement gives other columns than it was prepared for: its text has to be prepared anew by whoever wants it. */
  outlived(): void {
    for (const statement of this.#names.values()) this.#session.home.statements.forget(statement);
  }

  /** DEALLOCATE ALL and DISCARD ALL. */
  clear(): void {
    this.#names.clear();
    this.unnamed = null;
  }

  query(server: ServerConnection, bytes: Buffer, from: number, to: number): void {
    const session = this.#session;
    const facts = readStatement(bytes, from + 5, to - 1, session.home.watch.hazards);
    const group = new Group(noteStatement(session, facts), true, null);
    server.expected.push(group);
    if (touchesNames(facts)) this.#allUnsettled = group;
    server.unnamed = null;
    this.unnamed = null;
    session.inFlight.keep(bytes, from, to);
    group.endsAt = session.inFlight.end;
    if (facts.named === null) return toServers.pass(bytes, from, to);
    const rewritten = this.#inServersTerms(server, facts, bytes, from, to);
    if (rewritten === null) toServers.pass(bytes, from, to);
    else toServers.add(rewritten);
  }

  /** SQL's EXECUTE and DEALLOCATE (and a second PREPARE) of what the protocol has prepared: the server knows it by another name. */
  #inServersTerms(server: ServerConnection, facts: StatementFacts, bytes: Buffer, from: number, to: number): Buffer | null {
    const { named } = facts;
    if (named === null) return null;
    if (named.verb === 'deallocateAll') {
      this.clear();
      return null;
    }
    const statement = this.#names.get(named.name);
    if (statement === undefined) {
      // What the proxy has prepared is nobody's to name.
      return named.name.startsWith(NAME_PREFIX) ? replaceName(bytes, from, to, named, `"?${named.name.slice(1)}"`) : null;
    }
    if (!server.prepared.has(statement)) this.#askToPrepare(server, statement);
    if (named.verb === 'deallocate') {
      this.#names.delete(named.name);
      server.prepared.delete(statement);
    }
    return replaceName(bytes, from, to, named, statement.name);
  }

  #call(name: string, statement: Statement): void {
    this.#names.set(name, statement);
    if (this.#called.size >= MOST_CALLED) this.#called.clear();
    this.#called.set(statement.id, name);
  }

  /** In a group of its own, ahead of the query that needs it. */
  #askToPrepare(server: ServerConnection, statement: Statement): void {
    const query = server.expected.pop();
    const group = new Group(0, true, { onDone: (error) => error !== null && server.prepared.delete(statement) });
    server.expected.push(group);
    if (query !== undefined) server.expected.push(query);
    server.prepared.add(statement);
    toServers.add(statement.message);
    toServers.add(SYNC);
  }

  /**
   * A Parse of what a server has accepted before, under the same settings and definitions, needs no server: clients that prepare one by
   * one, while others hold every connection, are not kept waiting. False: it does need one.
   */
  parseAtOnce(bytes: Buffer, from: number, to: number): boolean {
    const { home, state } = this.#session;
    const nameEnd = bytes.indexOf(0, from + 5);
    if (nameEnd <= from + 5 || nameEnd >= to || bytes.subarray(nameEnd + 1, to).indexOf(0) < 0) return false;
    const name = bytes.toString('latin1', from + 5, nameEnd);
    if (this.#names.has(name) || state.prepared.has(name) || this.#names.size >= MOST_NAMES) return false;
    const { generation, hazards } = home.watch;
    const statement = home.statements.intern(bytes.subarray(from, to), nameEnd + 1 - from, state, generation, hazards);
    if (!statement.accepted) return false;
    home.stats.preparedHits += 1;
    this.#sayParsed(name, statement);
    return true;
  }

  parse(server: ServerConnection, bytes: Buffer, from: number, to: number): void {
    const session = this.#session;
    const nameEnd = bytes.indexOf(0, from + 5);
    if (nameEnd < 0 || nameEnd >= to) return session.end(refusal('protocol'));
    if (this.#names.size >= MOST_NAMES) return session.end(refusal('tooManyStatements'));
    const textEnd = bytes.indexOf(0, nameEnd + 1);
    if (textEnd < 0 || textEnd >= to) return session.end(refusal('protocol'));
    const hazards = session.home.watch.hazards;
    if (nameEnd === from + 5) return this.#parseUnnamed(server, textEnd, bytes, from, to);
    const name = bytes.toString('latin1', from + 5, nameEnd);
    const message = bytes.subarray(from, to);
    // SQL's PREPARE has taken the name: the server says so.
    if (session.state.prepared.has(name)) {
      session.group(server).parses = [...(session.group(server).parses ?? []), prepared(NOTHING, false)];
      session.inFlight.keep(bytes, from, to);
      return toServers.pass(bytes, from, to);
    }
    const known = this.#names.get(name);
    if (known !== undefined) return this.#parseAgain(server, known, message);
    const statement = session.home.statements.intern(
      message,
      nameEnd + 1 - from,
      session.state,
      session.home.watch.generation,
      hazards,
    );
    if (server.prepared.has(statement)) {
      session.home.stats.preparedHits += 1;
      if (session.open === null && !server.isBusy && server.status !== TRANSACTION.failed)
        return this.#sayParsed(name, statement);
      return this.#prepare(server, name, statement, message, true);
    }
    session.home.stats.preparedMisses += 1;
    this.#prepare(server, name, statement, message, false);
  }

  /** The server has it already, and nothing is ahead of the answer. */
  #sayParsed(name: string, statement: Statement): void {
    this.#call(name, statement);
    toClients.open(this.#session.socket);
    toClients.add(parseComplete());
    toClients.flush();
  }

  /** A name that is taken: the server says so, in the order of answers. */
  #parseAgain(server: ServerConnection, known: Statement, message: Buffer): void {
    this.#ensure(server, known);
    const group = this.#session.group(server);
    group.parses = [...(group.parses ?? []), prepared(NOTHING, false)];
    this.#session.inFlight.spoil();
    toServers.add(renameParse(message, known.name));
  }

  #prepare(server: ServerConnection, name: string, statement: Statement, message: Buffer, again: boolean): void {
    const session = this.#session;
    const group = session.group(server);
    session.inFlight.keep(message, 0, message.length);
    if (again) this.#closeSilently(server, group, statement);
    else this.#makeRoom(server, group);
    this.#call(name, statement);
    this.#unsettled.set(name, group);
    server.prepared.add(statement);
    const undo = () => {
      if (this.#names.get(name) === statement) this.#names.delete(name);
      server.prepared.delete(statement);
    };
    group.parses ??= [];
    group.parses.push(prepared(undo, false, statement));
    toServers.add(statement.message);
  }

  #makeRoom(server: ServerConnection, group: Group): void {
    const surplus = server.prepared.surplus(this.#session.home.preparedPerServer);
    if (surplus !== undefined) this.#closeSilently(server, group, surplus);
  }

  #closeSilently(server: ServerConnection, group: Group, statement: Statement): void {
    server.prepared.delete(statement);
    group.closes ??= [];
    group.closes.push(prepared(() => server.prepared.add(statement), true));
    toServers.add(close('S', statement.name));
  }

  #parseUnnamed(server: ServerConnection, textEnd: number, bytes: Buffer, from: number, to: number): void {
    const session = this.#session;
    const unnamed = unnamedStatement(this.unnamed, bytes, from, to, textEnd, session.home.watch.hazards);
    const { facts } = unnamed;
    const flags = noteStatement(session, facts);
    const group = session.group(server);
    if (touchesNames(facts)) this.#allUnsettled = group;
    group.flags = merge(group.flags, flags);
    this.unnamed = unnamed;
    server.unnamed = unnamed;
    group.parses ??= [];
    group.parses.push(prepared(() => this.#forgetUnnamed(server, unnamed), false));
    session.inFlight.keep(bytes, from, to);
    if (facts.named === null) return toServers.pass(bytes, from, to);
    const text = this.#inServersTerms(server, facts, bytes, from, to);
    if (text === null) toServers.pass(bytes, from, to);
    else toServers.add(text);
  }

  #forgetUnnamed(server: ServerConnection, unnamed: Unnamed): void {
    if (this.unnamed === unnamed) this.unnamed = null;
    if (server.unnamed === unnamed) server.unnamed = null;
  }

  /** The server gets a statement that this client has prepared elsewhere. */
  #ensure(server: ServerConnection, statement: Statement): void {
    if (server.prepared.has(statement)) return;
    const group = this.#session.group(server);
    this.#makeRoom(server, group);
    server.prepared.add(statement);
    group.parses ??= [];
    group.parses.push(prepared(() => server.prepared.delete(statement), true));
    toServers.add(statement.message);
  }

  #ensureUnnamed(server: ServerConnection): void {
    const mine = this.unnamed;
    if (server.unnamed === mine) return;
    const group = this.#session.group(server);
    if (mine === null) {
      // Another client's: this one has none, and has to be told so.
      group.closes ??= [];
      group.closes.push(prepared(NOTHING, true));
      toServers.add(close('S', ''));
    } else {
      group.parses ??= [];
      const undo = () => {
        if (server.unnamed === mine) server.unnamed = null;
      };
      group.parses.push(prepared(undo, true));
      toServers.add(mine.message);
    }
    server.unnamed = mine;
  }

  bind(server: ServerConnection, bytes: Buffer, from: number, to: number): void {
    const session = this.#session;
    const portalEnd = bytes.indexOf(0, from + 5);
    const nameEnd = portalEnd < 0 ? -1 : bytes.indexOf(0, portalEnd + 1);
    if (nameEnd < 0 || nameEnd >= to) return session.end(refusal('protocol'));
    const statement = nameEnd === portalEnd + 1 ? null : this.#names.get(bytes.toString('latin1', portalEnd + 1, nameEnd));
    const facts = statement === null ? this.unnamed?.facts : statement && factsOf(statement, session.home.watch.hazards);
    // Without a text: what SQL's PREPARE has made, perhaps.
    const flags = facts === undefined ? noteUnknown(session) : noteStatement(session, facts);
    const group = session.group(server);
    group.flags = merge(group.flags, flags);
    session.inFlight.keep(bytes, from, to);
    if (statement === null) {
      this.#ensureUnnamed(server);
      return toServers.pass(bytes, from, to);
    }
    if (statement === undefined) return passUnknown(bytes, from, to, portalEnd + 1);
    this.#ensure(server, statement);
    const { nameBytes } = statement;
    const size = to - from - 1 + nameBytes.length - (nameEnd - portalEnd);
    HEADER[0] = FRONTEND.bind;
    HEADER.writeInt32BE(size, 1);
    toServers.copy(HEADER, 0, 5);
    toServers.copy(bytes, from + 5, portalEnd + 1);
    toServers.copy(nameBytes, 0, nameBytes.length);
    toServers.pass(bytes, nameEnd + 1, to);
  }

  /** Describe and Close. */
  target(server: ServerConnection, type: number, bytes: Buffer, from: number, to: number): void {
    const session = this.#session;
    const group = session.group(server);
    session.inFlight.keep(bytes, from, to);
    if (bytes[from + 5] !== STATEMENT) {
      if (type === FRONTEND.close) {
        group.closes ??= [];
        group.closes.push(prepared(NOTHING, false));
      }
      return toServers.pass(bytes, from, to);
    }
    const name = bytes.toString('latin1', from + 6, to - 1);
    if (type === FRONTEND.close) return this.#close(server, group, name, bytes, from, to);
    if (name === '') this.#ensureUnnamed(server);
    const statement = this.#names.get(name);
    if (statement === undefined) return passUnknown(bytes, from, to, from + 6);
    this.#ensure(server, statement);
    toServers.add(renameTarget(bytes.subarray(from, to), statement.name));
  }

  /** Others may use it: the server closes a name that it does not have, which is no error, and the client's name is free. */
  #close(server: ServerConnection, group: Group, name: string, bytes: Buffer, from: number, to: number): void {
    this.#unsettled.set(name, group);
    // What SQL's PREPARE has made is state of the session, and gone now.
    if (this.#session.state.prepared.has(name)) this.#session.traces.effects |= EFFECT.prepared;
    const before = this.#names.get(name);
    const unnamed = this.unnamed;
    if (name === '') {
      this.unnamed = null;
      server.unnamed = null;
    } else {
      this.#names.delete(name);
    }
    const undo = () => {
      if (before !== undefined && !this.#names.has(name)) this.#names.set(name, before);
      if (name === '') this.unnamed ??= unnamed;
    };
    group.closes ??= [];
    group.closes.push(prepared(undo, false));
    passUnknown(bytes, from, to, from + 6);
  }

  /** A function by its number: what it does is not known. */
  call(server: ServerConnection, bytes: Buffer, from: number, to: number): void {
    const session = this.#session;
    const flags = noteUnknown(session);
    session.inFlight.spoil();
    server.expected.push(new Group(flags, true, null));
    toServers.pass(bytes, from, to);
  }
}

/** Of several statements, nobody knows which are prepared when one is executed. */
const UNKNOWN: StatementFacts = {
  effects: EFFECT.code | EFFECT.writes,
  statements: 1,
  command: '',
  settings: [],
  allSettings: false,
  named: null,
  unlisten: null,
};
const SYNC = Buffer.from([FRONTEND.sync, 0, 0, 0, 4]);
const MOST_CALLED = 1000;

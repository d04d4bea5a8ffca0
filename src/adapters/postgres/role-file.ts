import { randomUUID } from 'node:crypto';
import type { SyncSetting } from '#domain/leader-record.ts';
import { type OwnedFiles, readIfThere } from './owned-files.ts';
import { formatSettings, parseSettings } from './settings-file.ts';
import { formatSync, NOBODY, parseSync } from './sync-names.ts';

/** What changes with the member's role, in a file of its own that is replaced as a whole. */
export interface RoleSettings {
  readonly sync: SyncSetting;
  /** Empty: follow nobody. */
  readonly conninfo: string;
  readonly slot: string;
  readonly clusterName: string;
}

const DETACHED: RoleSettings = { sync: NOBODY, conninfo: '', slot: '', clusterName: '' };

/** A custom parameter that changes with every version of the file: whoever shows it has read that version. */
export const GENERATION = 'matriarch.generation';

export class RoleFile {
  readonly #files: OwnedFiles;
  readonly #path: string;
  #current: RoleSettings | undefined;

  constructor(files: OwnedFiles, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** What the file says; nobody is followed and nothing acknowledged where there is none. */
  async read(): Promise<RoleSettings> {
    if (this.#current !== undefined) return this.#current;
    const settings = parseSettings((await readIfThere(this.#path)) ?? '');
    this.#current = {
      sync: parseSync(settings.synchronous_standby_names ?? formatSync(NOBODY)) ?? NOBODY,
      conninfo: settings.primary_conninfo ?? DETACHED.conninfo,
      slot: settings.primary_slot_name ?? DETACHED.slot,
      clusterName: settings.cluster_name ?? DETACHED.clusterName,
    };
    return this.#current;
  }

  /** Returns the new generation. Nothing is in force before a reload shows it. */
  async write(change: Partial<RoleSettings>): Promise<string> {
    const next = { ...(await this.read()), ...change };
    const generation = randomUUID();
    // Until the file is there, nothing is known about what it says.
    this.#current = undefined;
    await this.#files.write(
      this.#path,
      `# Written by Matriarch at every change of the member's role.\n${formatSettings({
        [GENERATION]: generation,
        synchronous_standby_names: formatSync(next.sync),
        primary_conninfo: next.conninfo,
        primary_slot_name: next.slot,
        restore_command: '',
        cluster_name: next.clusterName,
      })}`,
    );
    this.#current = next;
    return generation;
  }
}

import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Lsn } from '#domain/lsn.ts';
import type { Lineage, Position, Timeline } from '#domain/position.ts';
import type { ServerView } from '#domain/server.ts';
import { type ControlFile, isClean, parseControlFile } from './control-file.ts';
import { giveUp } from './job-error.ts';
import type { Layout } from './layout.ts';
import { type OwnedFiles, readIfThere, removeDurably, syncFolder } from './owned-files.ts';
import { historyName, historyTimeline, lineageOf, parseHistory, parseSegmentName } from './timeline-history.ts';
import { complaint, type ToolResult } from './tool.ts';
import { findWalEnd, timelinesWithWal } from './wal-end.ts';
import { missingWal } from './wal-folders.ts';

export interface StoppedState {
  readonly control: ControlFile;
  readonly position: Position;
  readonly lineage: Lineage;
  readonly clean: boolean;
  readonly standbySignal: boolean;
  readonly redoBytes: number;
}

type Run = (program: string, args: readonly string[]) => Promise<ToolResult>;

/** A data directory that nobody runs: what it is, by its files. Only called while no postmaster is there. */
export class StoppedServer {
  readonly #layout: Layout;
  readonly #run: Run;
  readonly #files: OwnedFiles;
  #swapping = false;
  #known: { readonly key: string; readonly state: StoppedState } | undefined;

  constructor(layout: Layout, files: OwnedFiles, run: Run) {
    this.#layout = layout;
    this.#run = run;
    this.#files = files;
  }

  /** Undefined: no data directory, or one whose making or rewinding was not finished. */
  async inspect(): Promise<StoppedState | undefined> {
    await this.#undoSwap();
    const key = await this.#fingerprint();
    if (key === undefined) return undefined;
    if (this.#known?.key === key) return this.#known.state;
    await this.#settlePromotion();
    const control = await this.control();
    const standbySignal = (await readIfThere(join(this.#layout.dataDir, 'standby.signal'))) !== undefined;
    const { position, lineage } = await this.#walEnd(control);
    const clean = isClean(control);
    const state: StoppedState = {
      control,
      position,
      lineage,
      clean,
      standbySignal,
      redoBytes: control.state === 'shut down' ? 0 : Number(position.lsn > control.redo ? position.lsn - control.redo : 0n),
    };
    const settled = await this.#fingerprint();
    if (settled !== undefined) this.#known = { key: settled, state };
    return state;
  }

  /** Only the WAL, which may also be read while a standby that receives nothing replays it. */
  async inspectWal(): Promise<{ readonly position: Position; readonly lineage: Lineage }> {
    return this.#walEnd(await this.control());
  }

  async view(): Promise<ServerView> {
    const state = await this.inspect();
    if (state === undefined) return { state: 'absent' };
    const { position, lineage, clean, standbySignal, redoBytes } = state;
    const { systemIdentifier } = state.control;
    return { state: 'stopped', position, lineage, clean, wasPrimary: !standbySignal, redoBytes, systemIdentifier };
  }

  forget(): void {
    this.#known = undefined;
  }

  async control(dataDir = this.#layout.dataDir): Promise<ControlFile> {
    const output = await this.#run('pg_controldata', [dataDir]);
    if (output.code !== 0) giveUp('failed', `pg_controldata: ${complaint(output)}`);
    return parseControlFile(output.stdout);
  }

  /**
   * Removes the history files of timelines beyond `timeline`. A recovery follows the newest one that it finds and refuses to start
   * when that is no child of its own WAL: a placeholder of a promotion that was not finished, or the history of a leader that
   * nobody could join. Those that the next leader has are fetched again.
   */
  async removeHistoriesBeyond(timeline: Timeline): Promise<void> {
    let removed = false;
    for (const name of await readdir(this.#layout.walDir)) {
      if ((historyTimeline(name) ?? 0) <= timeline) continue;
      await rm(join(this.#layout.walDir, name), { force: true });
      removed = true;
    }
    if (removed) await syncFolder(this.#layout.walDir);
  }

  /** The new directory takes the place of the old one, which is removed. In between there is none: see `undoSwap`. */
  async swapIn(): Promise<void> {
    const { dataDir, newDataDir, oldDataDir, rewindMarker, promotionMarker } = this.#layout;
    await rm(oldDataDir, { recursive: true, force: true });
    this.#swapping = true;
    try {
      await rename(dataDir, oldDataDir).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
      await rename(newDataDir, dataDir);
      await syncFolder(dirname(dataDir));
    } finally {
      this.#swapping = false;
    }
    // They spoke of the directory that is gone.
    for (const marker of [rewindMarker, promotionMarker]) await removeDurably(marker);
    await rm(oldDataDir, { recursive: true, force: true });
    this.forget();
  }

  /** A clone was ended between its two renames. What it had made is made again; the old directory is whole. */
  async #undoSwap(): Promise<void> {
    const { dataDir, oldDataDir } = this.#layout;
    if (this.#swapping) return;
    const isThere = (path: string) =>
      stat(path).then(
        () => true,
        () => false,
      );
    if (!(await isThere(oldDataDir)) || (await isThere(dataDir))) return;
    await rename(oldDataDir, dataDir);
    await syncFolder(dirname(dataDir));
  }

  /**
   * A promotion to N that ended before the server was on N left a history and a copied segment behind, which would make the next
   * promotion take N + 1. Nobody has ever seen N; the server becomes the standby again that it was.
   */
  async #settlePromotion(): Promise<void> {
    const marker = await readIfThere(this.#layout.promotionMarker);
    if (marker === undefined) return;
    const { timeline } = JSON.parse(marker) as { timeline: Timeline };
    const control = await this.control();
    if (control.timeline < timeline) {
      for (const name of await readdir(this.#layout.walDir)) {
        const ours =
          historyTimeline(name) === timeline || parseSegmentName(name, control.sizes.segmentBytes)?.timeline === timeline;
        if (ours) await rm(join(this.#layout.walDir, name), { force: true });
      }
      await syncFolder(this.#layout.walDir);
      await this.#files.write(join(this.#layout.dataDir, 'standby.signal'), '');
    }
    await removeDurably(this.#layout.promotionMarker);
  }

  /** The end of the valid WAL, on the newest timeline that its WAL has reached. */
  async #walEnd(control: ControlFile): Promise<{ readonly position: Position; readonly lineage: Lineage }> {
    const { walDir } = this.#layout;
    const base = control.timeline;
    const from: Lsn = control.redo;
    const candidates = [...(await timelinesWithWal(walDir, control.sizes))].filter((timeline) => timeline > base).reverse();
    for (const timeline of candidates) {
      const lineage = await this.#lineage(timeline);
      const origin = lineage?.at(-1);
      if (lineage === undefined || origin === undefined || !lineage.some((ancestor) => ancestor.timeline === base)) continue;
      const end = await this.#scan(timeline, origin.end > from ? origin.end : from, control);
      // At the switch point nothing of the child is here yet.
      if (end > origin.end) return { position: { timeline, lsn: end }, lineage };
    }
    const lineage = (await this.#lineage(base)) ?? [];
    return { position: { timeline: base, lsn: await this.#scan(base, from, control) }, lineage: lineageOf(base, lineage) };
  }

  #scan(timeline: Timeline, from: Lsn, control: ControlFile): Promise<Lsn> {
    return findWalEnd(this.#layout.walDir, timeline, from, control.sizes, (args) => this.#run('pg_waldump', args));
  }

  async #lineage(timeline: Timeline): Promise<Lineage | undefined> {
    const text = await readIfThere(join(this.#layout.walDir, historyName(timeline)));
    return text === undefined ? undefined : parseHistory(text);
  }

  /** Changes whenever the directory may have changed. */
  async #fingerprint(): Promise<string | undefined> {
    const { dataDir, walDir, rewindMarker, promotionMarker } = this.#layout;
    if ((await readIfThere(rewindMarker)) !== undefined) return undefined;
    try {
      const paths = [join(dataDir, 'global', 'pg_control'), walDir, dataDir];
      const found = await Promise.all(paths.map((path) => stat(path, { bigint: true })));
      const promoting = (await readIfThere(promotionMarker)) ?? '';
      return [...found.map((one) => `${one.ino}:${one.mtimeNs}`), promoting].join(' ');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      const missing = await missingWal(dataDir);
      if (missing !== undefined) giveUp('failed', `the write-ahead log of the data is not there: ${missing}`);
      return undefined;
    }
  }
}

/** `data/PG_VERSION`: the major version that made the directory. */
export async function dataVersion(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'PG_VERSION'), 'utf8')).trim());
}

import { parentPort, workerData } from 'node:worker_threads';
import { ChangeSignal } from './change-signal.ts';
import { toFailure } from './failures.ts';
import type { StoreAnswer, StoreRequest, WorkerMessage, WorkerRequest, WorkerSettings } from './requests.ts';
import { StoreFile } from './store-file.ts';

// The thread that SQLite's synchronous calls may block. It answers requests one by one, never waits for a lock (the asker does), and
// opens the file anew after a failure that ended the connection.
const { file } = workerData as WorkerSettings;
const port = parentPort;
if (port === null) throw new Error('This file is the entry of a worker thread.');

const signal = new ChangeSignal(file, check);
let store: StoreFile | undefined;

port.on('message', ({ id, request }: WorkerRequest) => {
  send(reply(id, request));
  if (request.kind === 'close') port.close();
});

function reply(id: number, request: StoreRequest): WorkerMessage {
  try {
    return { kind: 'answered', id, answer: answer(request) };
  } catch (error) {
    const failure = toFailure(error);
    if (failure.reopen) closeFile();
    return failure.busy ? { kind: 'busy', id } : { kind: 'failed', id, code: failure.code, detail: failure.message };
  }
}

function answer(request: StoreRequest): StoreAnswer {
  switch (request.kind) {
    case 'create':
      store ??= new StoreFile(file, true);
      return { kind: 'done' };
    case 'listen':
      signal.listen();
      return { kind: 'done' };
    case 'close':
      signal.close();
      closeFile();
      return { kind: 'done' };
    case 'get':
    case 'list':
    case 'scan':
      return openFile().answer(request);
    case 'write':
    case 'delete': {
      const result = openFile().answer(request);
      if (result.kind !== 'conflict') signal.send();
      return result;
    }
  }
}

function openFile(): StoreFile {
  store ??= new StoreFile(file, false);
  return store;
}

function closeFile(): void {
  try {
    store?.close();
  } catch {
    // Whatever broke the connection may break its end as well; it is dropped either way.
  }
  store = undefined;
}

/** Something may have been written. A failure here shows at the next request, or is over at the next check. */
function check(): void {
  try {
    const opened = openFile();
    if (!opened.isInPlace()) closeFile();
    else if (opened.hasChanged()) send({ kind: 'changed' });
  } catch (error) {
    if (toFailure(error).reopen) closeFile();
  }
}

function send(message: WorkerMessage): void {
  port?.postMessage(message);
}

import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const UNITS = join(import.meta.dirname, '..', '..', 'deploy', 'systemd');
const folder = mkdtempSync(join(tmpdir(), 'matriarch-units-'));
afterAll(() => rmSync(folder, { recursive: true }));

// Checked, not booted: a systemd in namespaces of its own still has the files of the machine. The first unit that it starts brings
// sysinit.target along, and its systemd-tmpfiles empties /tmp of everybody.
test('systemd finds nothing wrong with the units', () => {
  const program = join(folder, 'matriarch');
  writeFileSync(program, '#!/bin/sh\n');
  chmodSync(program, 0o755);
  const files = ['matriarch-agent.service', 'matriarch.service', 'matriarch-proxy.service'].map((name) => {
    const file = join(folder, name);
    cpSync(join(UNITS, name), file);
    // The program is installed on a machine, and not where the tests run.
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('/usr/bin/matriarch', program));
    return file;
  });
  const result = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
  if (result.error !== undefined) throw new Error('systemd-analyze is missing: apt-get install systemd');
  // It also looks at units of the machine that are wanted beside ours.
  const ours = result.stderr.split('\n').filter((line) => line.includes('matriarch'));
  expect({ status: result.status, ours }).toEqual({ status: 0, ours: [] });
});

test('what keeps the server alive through a restart of the agent is not lost from the unit', () => {
  const unit = readFileSync(join(UNITS, 'matriarch-agent.service'), 'utf8').split('\n');
  for (const line of ['KillMode=process', 'OOMPolicy=continue', 'Restart=on-failure', 'StartLimitIntervalSec=0'])
    expect(unit).toContain(line);
  for (const name of ['PrivateTmp', 'PrivateDevices', 'MemoryDenyWriteExecute', 'DynamicUser'])
    expect(unit.some((line) => line.startsWith(`${name}=`))).toBe(false);
});

import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { expect, test } from 'vitest';
import { chooseServerUser, findUser } from './server-user.ts';

test('root gets an unprivileged user that exists; an ordinary user stays itself', async () => {
  const chosen = await chooseServerUser();
  if (userInfo().uid !== 0) {
    expect(chosen).toBeNull();
  } else {
    expect(chosen?.uid).toBeGreaterThan(0);
    expect(await findUser(chosen?.user ?? '')).toEqual(chosen);
    expect(await chooseServerUser()).toEqual(chosen);
  }
});

test('users are found by the name service; root and strangers are not', async () => {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'));
  const [user, , uid, gid] = (line ?? '').split(':');
  expect(await findUser('nobody')).toEqual({ user, uid: Number(uid), gid: Number(gid) });
  for (const name of ['root', 'no-such-user', '--help', '']) expect(await findUser(name)).toBeUndefined();
});

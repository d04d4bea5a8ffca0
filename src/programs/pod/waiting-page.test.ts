import { expect, test } from 'vitest';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { WaitingPage } from './waiting-page.ts';

test('a container that waits is alive, not ready, and says for what', async () => {
  const page = new WaitingPage({ host: '127.0.0.1', port: 0 }, () => {});
  const { port } = await page.open();
  try {
    page.tell('no volume');
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      return [answer.status, (await answer.text()).trim()];
    };
    expect(await ask(POD.memberProbes.live)).toEqual([200, 'no volume']);
    expect(await ask(POD.memberProbes.ready)).toEqual([503, 'no volume']);
    expect(await ask(POD.waitingPath)).toEqual([200, 'no volume']);
  } finally {
    await page.close();
  }
});

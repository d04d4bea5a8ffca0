import { expect, test } from 'vitest';
import { provesLogin } from './basic-authentication.ts';

const LOGIN = { username: 'operator', password: 'vier:Wörter' };
const header = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test('Only the header of the login proves it', () => {
  expect(provesLogin(header('operator:vier:Wörter'), LOGIN)).toBe(true);
  expect(provesLogin(header('operator:vier:Wörter').replace('Basic', 'basic'), LOGIN)).toBe(true);
  const wrong = ['', 'operator', 'operator:', ':vier:Wörter', 'operator:vier', 'operator:vier:Wörter ', 'Operator:vier:Wörter'];
  for (const text of wrong) expect(provesLogin(header(text), LOGIN), text).toBe(false);
  for (const text of [
    undefined,
    '',
    'Basic',
    'Basic ',
    'Bearer x',
    'operator:vier:Wörter',
    `${header('operator:vier:Wörter')} x`,
  ])
    expect(provesLogin(text, LOGIN), text).toBe(false);
});

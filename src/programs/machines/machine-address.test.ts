import { expect, test } from 'vitest';
import { readMachine } from './machine-address.ts';

test.each([
  ['n1=10.0.0.1', { name: 'n1', host: '10.0.0.1', port: 5432, apiPort: 5532 }],
  ['n1=db1.example.com:6432', { name: 'n1', host: 'db1.example.com', port: 6432, apiPort: 6532 }],
  ['n1=[fd00::1]:5432:9000', { name: 'n1', host: 'fd00::1', port: 5432, apiPort: 9000 }],
])('%s', (text, machine) => {
  expect(readMachine(text)).toEqual(machine);
});

test.each(['n1', 'N1=a', 'n1=', 'n1=a:0', 'n1=a:70000', 'n1=a:1:1', 'n1=[a::1', 'n1=fd00::1', 'n1=[::1::]', 'n1=a b'])(
  '%s is refused',
  (text) => {
    expect(() => readMachine(text)).toThrow(expect.objectContaining({ code: 'usage.invalidArgument' }));
  },
);

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatSettings, parseSettings, quoteSetting, settingNames, withoutSettings } from './settings-file.ts';

const value = fc.string({ maxLength: 40 }).filter((text) => !/[\r\n\0]/.test(text));

test('settings are read back as they were written', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z_][a-z0-9_]{0,10}$/), value, { maxKeys: 5 }), (settings) => {
      expect({ ...parseSettings(formatSettings(settings)) }).toEqual({ ...settings });
    }),
  );
});

test('a value cannot leave its line or its quotes', () => {
  expect(quoteSetting("it's \\ a")).toBe("'it''s \\\\ a'");
  expect(() => quoteSetting("x'\nfsync = off")).toThrow('one line');
});

test('what ALTER SYSTEM set is found by name, whatever its case, and removed by name', () => {
  const text = "# Do not edit\nwork_mem = '4MB'\nSynchronous_Standby_Names='n9'\n";
  expect(settingNames(text)).toEqual(['work_mem', 'synchronous_standby_names']);
  expect(withoutSettings(text, new Set(['synchronous_standby_names']))).toBe("# Do not edit\nwork_mem = '4MB'\n");
});

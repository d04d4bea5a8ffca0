import { z } from 'zod';

/** What PostgreSQL stores text in (manual, section 24.3.1), but for those that it cannot use by itself. */
const ENCODINGS = [
  ...['UTF8', 'SQL_ASCII', 'EUC_CN', 'EUC_JP', 'EUC_JIS_2004', 'EUC_KR', 'EUC_TW', 'KOI8R', 'KOI8U'],
  ...['ISO_8859_5', 'ISO_8859_6', 'ISO_8859_7', 'ISO_8859_8'],
  ...Array.from({ length: 10 }, (_, index) => `LATIN${index + 1}`),
  ...['WIN866', 'WIN874', ...Array.from({ length: 9 }, (_, index) => `WIN${1250 + index}`)],
];
const UTF8_LOCALE = /\.utf-?8(@|$)/i;

/** How the first server of a cluster is made. The others are copies of it, so that none of this can be changed afterwards. */
export const initdbSchema = z
  .strictObject({
    encoding: z.enum(ENCODINGS).default('UTF8').meta({ description: 'What text is stored in.' }),
    locale: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$/, 'must be the name of a locale, such as C.UTF-8')
      .default('C.UTF-8')
      .meta({
        description:
          'The order of text and what is a letter, by a locale of the operating system that every member has. That of Matriarch holds `C`, `C.UTF-8` and `en_US.UTF-8`.',
      }),
    dataChecksums: z.boolean().default(true).meta({ description: 'Pages bear checksums, by which damage of a disk is noticed.' }),
    walSegmentSizeMb: z
      .int()
      .min(1)
      .max(128)
      .refine((value) => Number.isInteger(Math.log2(value)), 'must be a power of 2')
      .default(16)
      .meta({
        description:
          'The size of a file of the write-ahead log in MB, a power of 2. The disk must have room for 16 of them, and `min_wal_size` and `max_wal_size` must be at least two.',
      }),
  })
  .superRefine((value, context) => {
    if (value.encoding !== 'UTF8' && UTF8_LOCALE.test(value.locale))
      context.addIssue({
        code: 'custom',
        path: ['locale'],
        message: `${value.locale} takes \`encoding: UTF8\`; \`locale: C\` goes with every encoding`,
        input: value.locale,
      });
  });
export type Initdb = z.output<typeof initdbSchema>;

export const DEFAULT_INITDB: Initdb = initdbSchema.parse({});

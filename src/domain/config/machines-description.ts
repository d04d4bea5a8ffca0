import { z } from 'zod';
import { memberConfigSchema } from './member-config.ts';

const { cluster, name, host, port, memberDir, walDir, postgresBin, store } = memberConfigSchema.shape;

/** `machines.json`: what `matriarch machines` made and finds again. Versioned, so that an older Matriarch leaves a newer folder alone. */
export const machinesDescriptionSchema = z.strictObject({
  version: z.literal(1),
  cluster,
  createdAt: z.iso.datetime(),
  /** As on each machine. */
  postgresBin,
  memberDir,
  walDir,
  configDir: memberDir,
  /** Who the files belong to there. */
  user: z.string().min(1),
  store,
  durability: z.enum(['required', 'preferred', 'async']),
  members: z
    .array(z.strictObject({ name, host, port, apiPort: port }))
    .min(1)
    .max(32),
});
export type MachinesDescription = z.output<typeof machinesDescriptionSchema>;
export type Machine = MachinesDescription['members'][number];

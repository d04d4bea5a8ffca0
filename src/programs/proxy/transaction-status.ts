/** The status byte of ReadyForQuery. */
export const TRANSACTION = { idle: 0x49, open: 0x54, failed: 0x45 } as const;

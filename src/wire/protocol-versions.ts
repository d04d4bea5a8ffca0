/** The first four bytes after the length of a packet without a type byte (PostgreSQL, `libpq/pqcomm.h`). */
export const PACKET_CODES = {
  cancel: (1234 << 16) | 5678,
  ssl: (1234 << 16) | 5679,
  gss: (1234 << 16) | 5680,
} as const;

export const MAJOR = 3;
/** 3.2 is PostgreSQL 18's: cancel keys of up to 256 bytes. */
export const LATEST_MINOR = 2;

export function protocolVersion(minor: number): number {
  return (MAJOR << 16) | minor;
}

// The API server's quantities, as in `resources` and `storage` (apimachinery, pkg/api/resource: the canonical forms).

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

export const RESOURCE_QUANTITY = /^\+?(\d+(?:\.\d*)?|\.\d+)(?:[eE]([+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i)?)$/;

/** `10Gi` → 10737418240, `250m` → 0.25. Undefined for anything that is no quantity. */
export function parseResourceQuantity(text: string): number | undefined {
  const match = RESOURCE_QUANTITY.exec(text);
  if (match === null) return undefined;
  const [, digits, exponent, suffix = ''] = match;
  const factor = exponent === undefined ? (FACTORS[suffix] ?? Number.NaN) : 10 ** Number(exponent);
  const value = Number(digits) * factor;
  return Number.isFinite(value) ? value : undefined;
}

import { EFFECT } from './effects.ts';

const PERL = /_SHARED|\bour\b|::/;
const TCL = /\b(?:GD|global|variable|namespace)\b|::/;
/** By language: where a body may keep something that outlives its call (manual, "Sharing Data", "Global Data" of each). */
const KEEPS: Readonly<Record<string, RegExp>> = {
  plpython3u: /\b(?:GD|SD|globals?)\b/,
  plperl: PERL,
  plperlu: PERL,
  pltcl: TCL,
  pltclu: TCL,
};

/** What a function does whose language is neither SQL, PL/pgSQL nor C: anything, and what it keeps to itself where its body may. */
export function foreignEffects(language: string | null, body: string | null): number {
  // Those of the server itself, under another name.
  if (language === 'internal') return EFFECT.code | EFFECT.writes;
  const keeps = language === null || body === null || (KEEPS[language]?.test(body) ?? true);
  return EFFECT.code | EFFECT.writes | (keeps ? EFFECT.backend : 0);
}

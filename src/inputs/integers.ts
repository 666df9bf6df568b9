import type { Reading } from './spec.ts';

export interface Bounds {
  min: number;
  max: number;
}

/** Reads plain decimal digits only: what a person and every other tool read alike. */
export function readInteger(given: string, bounds: Bounds, rule: string): Reading<number> {
  if (/^(0|[1-9]\d*)$/.test(given)) {
    const value = Number(given);
    if (value >= bounds.min && value <= bounds.max) return { value };
    return { refusal: `must be ${rule}` };
  }
  const hint = numberMeant(given, bounds);
  return { refusal: `must be ${rule}${hint ? `: ${hint}` : ''}` };
}

/** What to write instead, when another notation of a number within the bounds was used. */
function numberMeant(given: string, { min, max }: Bounds): string | null {
  const meant = otherNotation(given);
  if (meant !== null) return Number.isInteger(meant) && meant >= min && meant <= max ? `write ${meant}` : null;
  return /^\d[\d._,]*\s*[a-z%]+$/i.test(given) ? 'write the number without a unit' : null;
}

/** The number behind 0x10, 1e3, 1_000, 1,000, 010 (ten: nobody means octal) and 3.0; null for anything else. */
function otherNotation(given: string): number | null {
  if (/^0[xob][\da-f]+$/i.test(given)) return Number(given);
  if (/^\+?\d+(\.\d+)?(e\+?\d{1,3})?$/i.test(given)) return Number(given);
  if (/^\d{1,3}([_,' ]\d{3})+$/.test(given)) return Number(given.replace(/\D/g, ''));
  return null;
}

import { isIPv4, isIPv6 } from 'node:net';
import type { Reading } from './spec.ts';

/**
 * Reads networks separated by commas, spaces or new lines, each written as Vault prints it back, so that a later
 * comparison finds no difference: IPv6 compressed and in lower case, a single address without its /32 or /128.
 */
export function readCidrs(given: string): Reading<string[]> {
  const items = given.split(/[\s,]+/).filter((item) => item !== '');
  if (items.length === 0) return { refusal: 'must name at least one network, such as 10.0.0.0/8' };
  const networks: string[] = [];
  const refused: string[] = [];
  for (const item of items) {
    const network = canonical(item);
    if (network === null) refused.push(item);
    else networks.push(network);
  }
  if (refused.length > 0)
    return { refusal: `must be networks such as 10.0.0.0/8 or fd00::/8, not ${refused.join(', ')}` };
  return { value: [...new Set(networks)] };
}

function canonical(item: string): string | null {
  const [, address = '', prefix] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(item) ?? [];
  const width = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : null;
  if (width === null || Number(prefix ?? width) > width) return null;
  const printed = width === 32 ? address : new URL(`http://[${address}]`).hostname.slice(1, -1);
  return prefix === undefined || Number(prefix) === width ? printed : `${printed}/${prefix}`;
}

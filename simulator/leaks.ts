import type { Ending } from './runner.ts';

/** A text that nobody may see, by a name for messages. */
export interface Secret {
  name: string;
  value: string;
}

/** Texts that others can read, by where: the log, a ConfigMap. */
export interface Places {
  [place: string]: string;
}

/** Characters of a secret that are a leak by themselves. */
const PIECE = 16;
/** A piece begins at every so many characters: what is shown of PIECE + STRIDE characters or more is found. */
const STRIDE = 4;

/** What of the secrets is in the places: "vault_token in the log (base64)". Plain, a part of it is enough. */
export function leaksIn(secrets: Secret[], places: Places): string[] {
  const leaks = secrets.flatMap(({ name, value }) =>
    Object.entries(formsOf(value)).flatMap(([form, texts]) =>
      Object.entries(places)
        .filter(([, text]) => texts.some((written) => text.includes(written)))
        .map(([place]) => `${name} in ${place} (${form})`),
    ),
  );
  return [...new Set(leaks)];
}

/** How a secret may be written; the forms that look like the plain one are found as such. */
function formsOf(secret: string): { [form: string]: string[] } {
  const hex = Buffer.from(secret).toString('hex');
  const others = {
    base64: base64Of(secret),
    base64url: base64Of(secret).map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    hex: [hex, hex.toUpperCase(), hex.replace(/..(?=.)/g, '$& ')],
    URL: [encodeURIComponent(secret), new URLSearchParams({ '': secret }).toString().slice(1)],
    JSON: [JSON.stringify(secret).slice(1, -1), JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
  };
  const different = Object.entries(others).map(([form, texts]) => [form, texts.filter((text) => text !== secret)]);
  return { plain: piecesOf(secret), ...Object.fromEntries(different) };
}

function piecesOf(secret: string): string[] {
  const starts = Array.from({ length: Math.floor((secret.length - PIECE) / STRIDE) + 1 }, (_, index) => index * STRIDE);
  return secret.length <= PIECE ? [secret] : starts.map((start) => secret.slice(start, start + PIECE));
}

/** In base64 a text looks in three ways, by how many bytes stand before it; the signs that its neighbours change are left out. */
function base64Of(secret: string): string[] {
  return [0, 1, 2].map((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
    const whole = bytes.subarray(0, bytes.length - (bytes.length % 3));
    return whole.toString('base64').slice(before === 0 ? 0 : 4);
  });
}

/**
 * A step's output as the runner shows it with debug logging on: each `::add-mask::` hides its value in the lines after it.
 * https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#masking-a-value-in-a-log
 */
export function maskedAsByRunner(printed: string): string {
  const masks: string[] = [];
  const shown = printed.split('\n').flatMap((line) => {
    const [, mask] = /^::add-mask::(.*)$/.exec(line) ?? [];
    if (mask === undefined) return [masks.reduce((text, hidden) => text.replaceAll(hidden, '***'), line)];
    const value = mask.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
    masks.push(...value.split(/\r?\n/).filter((part) => part !== ''));
    return [];
  });
  return shown.join('\n');
}

/**
 * What the runner shows or keeps of a main and its post step. Unmasked is the stricter: what the steps print themselves; the
 * state may hold the token that the post step revokes.
 */
export function shownOf(main: Ending, post: Ending, log: 'masked' | 'unmasked'): Places {
  const shown = ({ printed }: Ending): string =>
    log === 'masked' ? maskedAsByRunner(printed) : printed.replace(/^::add-mask::.*$/gm, '');
  const { vault_token: _, ...state } = main.state;
  return {
    'the log': shown(main),
    'the log of the post step': shown(post),
    'the summary': main.summary + post.summary,
    'the outputs': JSON.stringify([main.outputs, post.outputs]),
    'the state': JSON.stringify([state, post.state]),
  };
}

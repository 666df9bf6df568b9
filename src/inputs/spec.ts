/**
 * What became of a text that was read: the value, what is wrong with it as a phrase that follows the value, or what is
 * wrong with its parts: phrases that follow the input's name and tell the part.
 */
export type Reading<T> = { value: T } | { refusal: string } | { refusals: string[] };

/** Headings of the README's tables, in the order of the README. */
export const GROUPS = [
  'Cluster',
  'Storage',
  'Scheduling',
  'Credentials and Vault',
  'Connection',
  'Behaviour',
  'Images',
] as const;

export type Group = (typeof GROUPS)[number];

/** What every input tells about itself, whatever its type. */
export interface Description {
  group: Group;
  /** What the input does: a sentence for action.yml and the README. */
  sentence: string;
  /** The value is a credential: never printed. */
  secret?: true;
}

/** One input: its meaning, its default and how the runner's text becomes a value. */
export interface InputSpec<T> extends Description {
  /** What a value must be, as a phrase that follows "must be". */
  rule: string;
  /** The values in a word or two, for the README's tables. */
  values: string;
  /** Absent: the input is required. */
  default?: T;
  /** The default as action.yml states it; empty for none. */
  defaultText: string;
  /** Reads a trimmed text that is not empty. */
  read: (text: string) => Reading<T>;
}

/** Where a run tells what it does: the runner's log and its annotations. */
export interface Log {
  info(message: string): void;
  /** Lines below a title that a reader may fold away; nothing in them is a command to the runner. */
  group(title: string, text: string): void;
  /** Also shown as an annotation of the workflow run. */
  notice(message: string): void;
  /** Also shown as an annotation of the workflow run. */
  warning(message: string): void;
}

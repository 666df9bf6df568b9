/** The text with *** in place of each of the secrets. */
export function redacted(text: string, secrets: string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}

/** Tells a kubeconfig's content from the path of a file that holds it: content names its clusters or its apiVersion. */
export function isKubeconfigContent(text: string): boolean {
  return /(^|[\s{,"'])(apiVersion|clusters|users|contexts)["']?\s*:/.test(text);
}

/** The kubeconfig within a base64 text: CI secrets are often stored so. Null when the text is something else. */
export function kubeconfigInBase64(text: string): string | null {
  if (!/^[A-Za-z0-9+/=\s]+$/.test(text)) return null;
  const decoded = Buffer.from(text, 'base64').toString('utf8');
  return isKubeconfigContent(decoded) ? decoded : null;
}

import { generateKeyPairSync, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Values } from './runner.ts';

const issuer = 'https://token.actions.githubusercontent.com';
const claims = {
  iss: issuer,
  sub: 'repo:acme/messaging:ref:refs/heads/main',
  repository: 'acme/messaging',
  ref: 'refs/heads/main',
};

/** GitHub's OpenID Connect provider, as far as a job with `id-token: write` sees it. */
export interface Provider {
  /** What the runner gives such a job. */
  environment: Values;
  /** PEM of the key that verifies the tokens. */
  publicKey: string;
  /** Claims that every token carries, besides its audience. */
  claims: typeof claims;
  /** The tokens that it gave. */
  issued: string[];
  close(): void;
}

/** Starts the provider on a loopback port. It gives a token only to who shows the job's request token. */
export async function startProvider(): Promise<Provider> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const issued: string[] = [];
  const requestToken = 'request-token-of-this-job';
  const server = createServer((request, response) => {
    if (request.headers.authorization !== `Bearer ${requestToken}`) {
      response.writeHead(401).end();
      return;
    }
    const audience = new URL(request.url ?? '', issuer).searchParams.get('audience') ?? 'https://github.com/acme';
    const now = Math.floor(Date.now() / 1000);
    const signed = [
      { alg: 'RS256', typ: 'JWT' },
      { ...claims, aud: audience, iat: now, nbf: now, exp: now + 300 },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = sign('sha256', Buffer.from(signed), privateKey).toString('base64url');
    response.writeHead(200, { 'Content-Type': 'application/json' });
    issued.push(`${signed}.${signature}`);
    response.end(JSON.stringify({ value: issued.at(-1) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    environment: {
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken,
    },
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    claims,
    issued,
    close: () => server.close(),
  };
}

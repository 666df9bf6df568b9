import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '../src/json.ts';
import type { Values } from './runner.ts';

/** What a job's token tells of it. */
export interface Job {
  repository: string;
  event_name: string;
  ref: string;
  /** Of the job in its workflow; none by default. */
  environment?: string;
  /** When its token is made; now by default. */
  time?: Date;
}

const usual: Job = { repository: 'acme/messaging', event_name: 'push', ref: 'refs/heads/main' };

/** GitHub's OpenID Connect provider, as far as jobs with `id-token: write` and Vault see it. */
export interface Provider {
  /** Its URL: what its tokens name as issuer, and where its keys are found by discovery. */
  issuer: string;
  /** PEM of the key that verifies the tokens. */
  publicKey: string;
  /** What the tokens of the usual job tell: a push to main in acme/messaging. */
  claims: Job;
  /** What the runner gives the usual job. */
  environment: Values;
  /** What the runner gives a job that differs from the usual one in that. */
  environmentOf(job: Partial<Job>): Values;
  /** The tokens that it gave. */
  issued: string[];
  close(): void;
}

export interface ProviderOptions {
  /** Address to listen on: loopback, unless Vault is elsewhere and asks for the keys. */
  host?: string;
  /** The issuer to name instead of itself, for tokens that are forged. */
  issuer?: string;
}

/** Starts the provider on a free port. It gives a token only to who shows the request token of a job, and of that job. */
export async function startProvider({ host = '127.0.0.1', issuer }: ProviderOptions = {}): Promise<Provider> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...publicKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
  const jobs = new Map<string, Job>();
  const issued: string[] = [];

  function issue(job: Job, audience: string | null): string {
    const signed = [{ alg: 'RS256', typ: 'JWT', kid: key.kid }, claimsOf(job, provider.issuer, audience)]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const token = `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
    issued.push(token);
    return token;
  }

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', provider.issuer);
    const job = jobs.get(request.headers.authorization ?? '');
    const discovery = { issuer: provider.issuer, jwks_uri: `${provider.issuer}/.well-known/jwks` };
    const answers: { [path: string]: object | undefined } = {
      '/.well-known/openid-configuration': { ...discovery, id_token_signing_alg_values_supported: ['RS256'] },
      '/.well-known/jwks': { keys: [key] },
      '/token': job && { value: issue(job, searchParams.get('audience')) },
    };
    const answer = answers[pathname];
    response.writeHead(answer === undefined ? 401 : 200, { 'Content-Type': 'application/json' });
    response.end(answer === undefined ? '' : JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://${host}:${port}`;

  function environmentOf(job: Partial<Job>): Values {
    const requestToken = `request-token-${randomUUID()}`;
    jobs.set(`Bearer ${requestToken}`, { ...usual, ...job });
    return {
      ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: requestToken,
    };
  }

  const provider: Provider = {
    issuer: issuer ?? url,
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    claims: usual,
    environment: environmentOf({}),
    environmentOf,
    issued,
    close: () => server.close(),
  };
  return provider;
}

/** https://docs.github.com/en/actions/reference/security/oidc#oidc-token-claims */
function claimsOf(job: Job, issuer: string, audience: string | null): JsonObject {
  const { repository, event_name, ref, environment, time = new Date() } = job;
  const [owner = ''] = repository.split('/');
  const workflow = `${repository}/.github/workflows/nats.yml@${ref}`;
  const sha = '4f2f1e7c9a4b6f0d8e3c5a7b9d1f3e5a7c9b1d3f';
  const issued = Math.floor(time.getTime() / 1000);
  return {
    jti: randomUUID(),
    iss: issuer,
    aud: audience ?? `https://github.com/${owner}`,
    sub: `repo:${repository}:${subjectOf(job)}`,
    repository,
    repository_id: '74',
    repository_owner: owner,
    repository_owner_id: '65',
    repository_visibility: 'private',
    ...(environment === undefined ? {} : { environment }),
    event_name,
    ref,
    ref_type: 'branch',
    ref_protected: 'true',
    base_ref: '',
    head_ref: '',
    sha,
    actor: 'octocat',
    actor_id: '12',
    workflow: 'nats',
    workflow_ref: workflow,
    workflow_sha: sha,
    job_workflow_ref: workflow,
    job_workflow_sha: sha,
    run_id: '4711',
    run_number: '10',
    run_attempt: '1',
    runner_environment: 'github-hosted',
    iat: issued,
    nbf: issued - 600,
    exp: issued + 300,
  };
}

function subjectOf({ environment, event_name, ref }: Job): string {
  if (environment !== undefined) return `environment:${environment}`;
  return event_name === 'pull_request' ? 'pull_request' : `ref:${ref}`;
}

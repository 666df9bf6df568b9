import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { connect } from '../../src/kube/connect.ts';
import { problemOf } from '../fakes/problem.ts';

const NOWHERE = { inCluster: false, kubeconfigVariable: '', hasHomeKubeconfig: false };
const SECRET = 'S3CRET-of-a-user';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'connect-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function kubeconfig(user: string, server = 'https://203.0.113.7:6443'): string {
  return `apiVersion: v1
kind: Config
clusters:
- {name: one, cluster: {server: "${server}", certificate-authority-data: ${Buffer.from('CA').toString('base64')}}}
- {name: two, cluster: {server: "https://two.example/prefix", insecure-skip-tls-verify: true, tls-server-name: b}}
users:
- {name: somebody, user: ${user}}
contexts:
- {name: first, context: {cluster: one, user: somebody}}
- {name: second, context: {cluster: two, user: somebody}}
- {name: broken, context: {cluster: three, user: somebody}}
- {name: userless, context: {cluster: one, user: nobody}}
current-context: first
`;
}

function connectTo(content: string | null, context: string | null = null, surroundings = NOWHERE) {
  return connect({ kubeconfig: content, context }, surroundings);
}

const TOKEN = kubeconfig(`{token: ${SECRET}}`);

describe('a kubeconfig', () => {
  test.each([
    ['its content', () => TOKEN],
    ['its content in base64', () => Buffer.from(TOKEN).toString('base64')],
    [
      'its path',
      () => {
        const file = path.join(directory, 'config');
        writeFileSync(file, TOKEN);
        return file;
      },
    ],
  ])('as %s gives server, credentials and what to mask', async (_, content) => {
    const connection = connectTo(content());
    expect(connection).toMatchObject({ server: 'https://203.0.113.7:6443', context: 'first', secrets: [SECRET] });
    await expect(connection.credentials()).resolves.toMatchObject({
      headers: { Authorization: `Bearer ${SECRET}` },
      tls: { ca: 'CA' },
      agent: undefined,
    });
  });

  test('is read in another context than its current one', async () => {
    const connection = connectTo(TOKEN, 'second');
    expect(connection.server).toBe('https://two.example/prefix');
    await expect(connection.credentials()).resolves.toMatchObject({
      tls: { rejectUnauthorized: false, servername: 'b' },
    });
  });

  test('of the surroundings is used when the input is empty', () => {
    const previous = process.env.KUBECONFIG;
    process.env.KUBECONFIG = path.join(directory, 'default');
    writeFileSync(process.env.KUBECONFIG, TOKEN);
    try {
      expect(connectTo(null, null, { ...NOWHERE, kubeconfigVariable: process.env.KUBECONFIG }).context).toBe('first');
    } finally {
      if (previous === undefined) delete process.env.KUBECONFIG;
      else process.env.KUBECONFIG = previous;
    }
  });

  test('may name user and password, or a client certificate', async () => {
    const basic = await connectTo(kubeconfig(`{username: me, password: ${SECRET}}`)).credentials();
    expect(basic.headers.Authorization).toBe(`Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`);
    const [cert, key] = ['CERT', 'KEY'].map((text) => Buffer.from(text).toString('base64'));
    const mutual = await connectTo(
      kubeconfig(`{client-certificate-data: ${cert}, client-key-data: ${key}}`),
    ).credentials();
    expect(mutual).toMatchObject({ headers: {}, tls: { cert: 'CERT', key: 'KEY' } });
  });

  test('with a proxy-url connects by an agent of its own', async () => {
    const proxied = TOKEN.replace('cluster: {server:', 'cluster: {proxy-url: "http://proxy.example:3128", server:');
    expect((await connectTo(proxied).credentials()).agent).toBeDefined();
  });
});

/** The order of kubectl config view: a long CA comes before the server. */
const YAML_OF_KUBECTL = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: ${'QUFB'.repeat(400)}
    server: https://203.0.113.7:6443
  name: one
`;

function twice(text: string): string {
  return Buffer.from(Buffer.from(text).toString('base64')).toString('base64');
}

describe('no cluster', () => {
  const tokenless = (text: string) => text.replace(`{token: ${SECRET}}`, '{}');

  test.each([
    ['for an unknown context', TOKEN, 'third', 'no context "third"', 'first, second, broken, userless'],
    ['for a context without its cluster', TOKEN, 'broken', 'no context "broken" with a known cluster', 'first'],
    ['for a context without its user', TOKEN, 'userless', 'names the user "nobody"', '--minify --flatten --raw'],
    [
      'without a current context',
      tokenless(TOKEN).replace(/current-context.*/, ''),
      null,
      'no current-context',
      'first',
    ],
    ['without contexts', 'apiVersion: v1', null, 'no current-context', 'no contexts at all'],
    ['for a server without https://', kubeconfig('{}', '203.0.113.7:6443'), null, 'is no URL', 'https://HOST:PORT'],
    ['for a server that is a name', kubeconfig('{}', 'localhost:6443'), null, 'is no URL', 'https://HOST:PORT'],
    [
      'for a cluster without a server',
      kubeconfig('{}').replace(/server: "[^"]*"/, 'a: b'),
      null,
      'server is missing',
      '',
    ],
    ['for an empty entry of a list', 'clusters:\n-', null, 'is no YAML map', 'whole YAML text'],
    ['for cut off YAML', TOKEN.slice(0, 60), null, 'unexpected end of the stream', 'whole YAML text'],
  ])('%s', async (_, content, context, reason, next) => {
    const { details } = await problemOf(() => connectTo(content, context));
    expect(details.kind).toBe('connection');
    expect(details.reason).toContain(reason);
    expect(details.next).toContain(next);
  });

  test('anywhere', async () => {
    const { message } = await problemOf(() => connectTo(null));
    expect(message).toContain('Set the input kubeconfig');
  });

  const NEITHER = 'It is neither the YAML of a kubeconfig, nor base64 of it, nor the path of a file that exists here';

  test.each([
    ['words', 'hello world', `${NEITHER} (ENOENT).`],
    ['what a script prints for nothing', 'undefined', `${NEITHER} (ENOENT).`],
    ['a JWT', `eyJhbGciOiJSUzI1NiJ9.${SECRET}.c2ln`, `${NEITHER} (ENOENT).`],
    ['base64 of base64', twice(TOKEN), `${NEITHER} (ENAMETOOLONG).`],
    ['the path of an absent file', '/nowhere/kubeconfig', `${NEITHER} (ENOENT).`],
    ['the path of a directory', tmpdir(), 'It is the path of a directory, not of a file (EISDIR).'],
  ])('in %s, which is not quoted', async (_, text, reason) => {
    const { details, message } = await problemOf(() => connectTo(text));
    expect(details.reason).toBe(reason);
    expect(details.next).toContain('path of such a file');
    expect(message).not.toContain(text);
  });

  test.each([
    ['YAML', (text: string) => text],
    ['base64', (text: string) => Buffer.from(text).toString('base64')],
  ])('in %s that was cut off, which is told', async (_, encode) => {
    const text = encode(YAML_OF_KUBECTL);
    const early = await problemOf(() => connectTo(text.slice(0, text.length / 3)));
    expect(early.details.reason).toMatch(
      /^It is not a kubeconfig: clusters\[0\]\S* is missing; the text looks cut off\.$/,
    );
    const { details } = await problemOf(() => connectTo(encode('apiVersion: v1\n')));
    expect(details.next).toContain('it looks cut off');
  });

  describe('where $KUBECONFIG', () => {
    const previous = process.env.KUBECONFIG;
    afterEach(() => {
      if (previous === undefined) delete process.env.KUBECONFIG;
      else process.env.KUBECONFIG = previous;
    });
    const byDefault = (variable: string) => {
      process.env.KUBECONFIG = variable;
      return problemOf(() => connectTo(null, null, { ...NOWHERE, kubeconfigVariable: variable }));
    };

    test('names an absent file, which is told with its path', async () => {
      const { message } = await byDefault('/nowhere/kubeconfig');
      expect(message).toBe(
        'Reading the kubeconfig ($KUBECONFIG, /nowhere/kubeconfig): $KUBECONFIG names a file that does not exist here ' +
          '(ENOENT). Let $KUBECONFIG be the path of a kubeconfig, unset it, or set the input kubeconfig, which takes ' +
          'content as well.',
      );
    });

    test.each([
      ['content', TOKEN],
      ['base64', Buffer.from(TOKEN).toString('base64')],
      ['a token', SECRET],
    ])('holds %s, which is not quoted', async (_, variable) => {
      const { message } = await byDefault(variable);
      expect(message).toContain('Reading the kubeconfig ($KUBECONFIG): $KUBECONFIG names a file that does not exist');
      expect(message).not.toContain(variable);
      expect(message).not.toContain(SECRET);
    });
  });

  test('in ~/.kube/config, which is told', async () => {
    const { KUBECONFIG, HOME } = process.env;
    const home = mkdtempSync(path.join(directory, 'home-'));
    mkdirSync(path.join(home, '.kube', 'config'), { recursive: true });
    delete process.env.KUBECONFIG;
    process.env.HOME = home;
    try {
      const { message } = await problemOf(() => connectTo(null, null, { ...NOWHERE, hasHomeKubeconfig: true }));
      expect(message).toBe(
        'Reading the kubeconfig (~/.kube/config): It is the path of a directory, not of a file (EISDIR). ' +
          'Correct that file, or set the input kubeconfig.',
      );
    } finally {
      Object.assign(process.env, { KUBECONFIG, HOME });
      if (KUBECONFIG === undefined) delete process.env.KUBECONFIG;
    }
  });

  test('in an empty file', async () => {
    const file = path.join(directory, 'empty');
    writeFileSync(file, '');
    const { details } = await problemOf(() => connectTo(file));
    expect(details.reason).toBe('It is not a kubeconfig: expected a document, but the input is empty.');
  });

  test.each([
    ['an unclosed bracket', `token: {a: ${SECRET}`],
    ['an unknown alias', `token: *${SECRET}`],
    ['an unknown tag', `token: !${SECRET} a`],
    ['a second value', `token: "${SECRET}" "${SECRET}"`],
    ['a key of many lines', `${SECRET}\n${SECRET}: a`],
    ['a reserved sign', `token: @${SECRET}`],
    ['a wrong escape', `token: "${SECRET}\\q"`],
  ])('in broken YAML with %s, which is told by its place and not quoted', async (_, line) => {
    const { message } = await problemOf(() => connectTo(`apiVersion: v1\n${line}\n`));
    expect(message).toMatch(/It is not a kubeconfig: .*\(\d+:\d+\)(; the text looks cut off)?\./);
    expect(message).not.toContain(SECRET);
  });
});

describe('an exec plugin', () => {
  /** A plugin that leaves a mark for each of its runs. */
  function plugin(script: string): { content: string; runs: () => number } {
    const marks = path.join(mkdtempSync(path.join(directory, 'plugin-')), 'marks');
    const command = path.join(path.dirname(marks), 'plugin');
    writeFileSync(marks, '');
    writeFileSync(command, `#!/bin/sh\necho run >> ${marks}\n${script}\n`);
    chmodSync(command, 0o755);
    const exec = `{apiVersion: client.authentication.k8s.io/v1, command: ${command}, interactiveMode: Never}`;
    return {
      content: kubeconfig(`{exec: ${exec}}`),
      runs: () => readFileSync(marks, 'utf8').split('\n').length - 1,
    };
  }

  const EXPIRED = `echo '{"status": {"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"}}'`;

  test('runs once for concurrent requests, and again when the credentials expired', async () => {
    const { content, runs } = plugin(EXPIRED);
    const { credentials } = connectTo(content);
    const all = await Promise.all([credentials(), credentials(), credentials()]);
    expect(all.map(({ headers }) => headers)).toEqual(Array(3).fill({ Authorization: 'Bearer t' }));
    expect(runs()).toBe(1);
    await credentials();
    expect(runs()).toBe(2);
  });

  test('that failed may be run again', async () => {
    const { content, runs } = plugin('exit 1');
    const { credentials } = connectTo(content);
    await problemOf(credentials());
    await problemOf(credentials());
    expect(runs()).toBe(2);
  });

  test.each([
    ['fails with words', 'echo "  token has expired, log in again  " >&2; exit 1', 'token has expired, log in again.'],
    ['fails without a word', 'exit 3', 'The exec plugin failed without a word.'],
    ['prints a bare token', `echo ${SECRET}`, 'The exec plugin printed no ExecCredential.'],
    ['prints other JSON', `echo '{"token": "${SECRET}"}'`, 'The exec plugin printed no ExecCredential.'],
    ['prints nothing', 'true', 'The exec plugin printed no ExecCredential.'],
  ])('that %s is a Problem', async (_, script, reason) => {
    const problem = await problemOf(connectTo(plugin(script).content).credentials());
    expect(problem.details).toMatchObject({ kind: 'connection', reason });
    expect(problem.message).not.toContain(SECRET);
  });

  test('that does not exist is a Problem', async () => {
    const exec = '{apiVersion: client.authentication.k8s.io/v1, command: /nowhere/plugin}';
    const problem = await problemOf(connectTo(kubeconfig(`{exec: ${exec}}`)).credentials());
    expect(problem.details.reason).toContain('spawn /nowhere/plugin ENOENT.');
  });
});

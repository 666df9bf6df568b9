import { describe, expect, test } from '@jest/globals';
import { connectionProblem, statusProblem } from '../../src/kube/errors.ts';
import { Problem } from '../../src/problem.ts';
import { problemOf } from '../fakes/problem.ts';
import { answer, clientOn, status } from './requests.ts';

describe('a refusal', () => {
  test.each([
    [400, 'target', /cert-manager before 1\.16/],
    [401, 'connection', /expired/],
    [403, 'permission', /Grant the permission/],
    [404, 'target', /CustomResourceDefinitions/],
    [409, 'conflict', /run again/],
    [422, 'target', /correct the input/],
    [429, 'target', /overloaded/],
    [500, 'target', /admission webhooks/],
  ])('with HTTP %i is of kind %s', (code, kind, next) => {
    const { details } = statusProblem('Reading Pod a', status(code, 'words of the server'));
    expect(details).toEqual({
      kind,
      tried: 'Reading Pod a',
      reason: `HTTP ${code}: words of the server.`,
      next: expect.stringMatching(next),
    });
  });

  test.each([
    ['ends its sentence itself', status(500, 'etcd is gone.'), 'HTTP 500: etcd is gone.'],
    ['spans lines', status(422, 'invalid:\n* a\n* b'), 'HTTP 422: invalid: * a * b.'],
    ['has no message', answer(500, { kind: 'Status' }), 'HTTP 500: no message.'],
    ['has no body', answer(502, ''), 'HTTP 502: no message.'],
    ['is a page', answer(502, `<html>${'x'.repeat(1000)}`), `HTTP 502: <html>${'x'.repeat(294)}.`],
  ])('that %s reads well', (_, response, reason) => {
    expect(statusProblem('Reading', response).details.reason).toBe(reason);
  });

  test.each([
    'admission webhook "validate.kyverno.svc" denied the request: label team is required',
    'pods "a" is forbidden: exceeded quota: compute, requested: memory=1Gi, used: memory=4Gi, limited: memory=4Gi',
    'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
  ])('by a rule of the cluster is no missing permission: %s', (words) => {
    const { details } = statusProblem('Applying Pod a', status(403, words));
    expect(details).toMatchObject({ kind: 'target', next: expect.stringContaining('A rule of the cluster') });
  });

  test('comes with the object that was tried', async () => {
    const { client } = clientOn(status(403, 'pods "a" is forbidden'));
    expect((await problemOf(client.get('Pod', 'demo', 'a'))).details.tried).toBe('Reading Pod demo/a');
    expect((await problemOf(client.list('Pod', 'demo'))).details.tried).toBe('Listing pods in namespace demo');
  });
});

describe('a connection that failed', () => {
  test("leaves out Node's advice on its own options", () => {
    const message =
      'unable to verify the first certificate; if the root CA is installed locally, try running Node.js with --use-system-ca';
    const error = Object.assign(new Error(message), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    expect(connectionProblem('Reading', error)).toMatchObject({
      details: {
        reason: 'unable to verify the first certificate.',
        next: expect.stringContaining('certificate-authority-data'),
      },
    });
  });

  test.each([
    ['ENOTFOUND', 'does not resolve'],
    ['ECONNREFUSED', 'Nothing listens'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'certificate-authority-data'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'certificate-authority-data'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls-server-name'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'client certificate'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'speaks https'],
    ['ERR_INVALID_CHAR', 'token'],
    ['ETIMEDOUT', 'network, VPN, firewall'],
  ])('with %s', async (code, next) => {
    const { client } = clientOn(Object.assign(new Error('failed'), { code }));
    const { details } = await problemOf(client.get('Pod', 'demo', 'a'));
    expect(details).toEqual({
      kind: 'connection',
      tried: 'Reading Pod demo/a',
      reason: 'failed.',
      next: expect.stringContaining(next),
    });
  });

  test('without a message is told by its code', () => {
    expect(connectionProblem('a', Object.assign(new Error(''), { code: 'EPIPE' }))).toMatchObject({
      details: { reason: 'EPIPE.' },
    });
  });

  test('for a reason that is a Problem already stays as it is', () => {
    const problem = new Problem({ kind: 'cancelled', tried: 'a', reason: 'b.', next: 'c.' });
    expect(connectionProblem('x', problem)).toBe(problem);
  });
});

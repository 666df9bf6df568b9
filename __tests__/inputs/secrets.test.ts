import { describe, expect, test } from '@jest/globals';
import { kubeconfigSecrets, secretsOf } from '../../src/inputs/secrets.ts';

const KUBECONFIG = `
apiVersion: v1
kind: Config
current-context: production
clusters:
- name: production
  cluster:
    server: https://kubernetes.example.com:6443
    certificate-authority-data: LS0tLS1CRUdJTiBDRVJU
    proxy-url: http://somebody:proxy%2Fpassword@proxy.example.com:3128
users:
- name: token-user
  user:
    token: eyJhbGciOiJSUzI1NiJ9.payload.signature
- name: certificate-user
  user:
    client-certificate-data: LS0tLS1CRUdJTiBQVUJMSUM=
    client-key-data: LS0tLS1CRUdJTiBQUklWQVRF
- name: password-user
  user:
    username: administrator
    password: "12345678901"
- name: plugin-user
  user:
    exec:
      command: aws-iam-authenticator
      env:
      - name: AWS_SECRET_ACCESS_KEY
        value: wJalrXUtnFEMI/K7MDENG
      - name: SHORT
        value: abc
- name: provider-user
  user:
    auth-provider:
      name: oidc
      config:
        client-id: kubernetes-client
        client-secret: oidc-client-secret
        id-token: oidc-id-token
        refresh-token: oidc-refresh-token
        access-token: oidc-access-token
- name: folded-user
  user:
    token: |
      first-line-of-a-token
      second-line-of-a-token
`;

const CREDENTIALS = [
  'eyJhbGciOiJSUzI1NiJ9.payload.signature',
  'LS0tLS1CRUdJTiBQUklWQVRF',
  '12345678901',
  'wJalrXUtnFEMI/K7MDENG',
  'proxy%2Fpassword',
  'proxy/password',
  'oidc-client-secret',
  'oidc-id-token',
  'oidc-refresh-token',
  'oidc-access-token',
  'first-line-of-a-token',
  'second-line-of-a-token',
];

describe('credentials of a kubeconfig', () => {
  test('are the credential fields and nothing else', () => {
    expect(kubeconfigSecrets(KUBECONFIG).sort()).toEqual([...CREDENTIALS].sort());
  });

  test('are found in JSON', () => {
    expect(kubeconfigSecrets('{"users":[{"user":{"token":"abcdefghijk"}}]}')).toEqual(['abcdefghijk']);
  });

  test('are found line by line in broken YAML', () => {
    const found = kubeconfigSecrets(`${KUBECONFIG}\n  broken: [\n`);
    for (const credential of CREDENTIALS.filter((text) => !/-line-of-|^proxy/.test(text))) {
      expect(found).toContain(credential);
    }
    expect(found).not.toContain('administrator');
  });

  test('are found in broken JSON on one line', () => {
    expect(kubeconfigSecrets('{"users":[{"user":{"token":"abcdefghijk","x":')).toEqual(['abcdefghijk']);
  });

  test('are found in YAML that contains itself', () => {
    expect(kubeconfigSecrets('&a {token: abcdefghijk, self: *a}')).toEqual(['abcdefghijk']);
  });

  test.each(['', '\t', '"', '- [', '&a [*b]', '!!binary x', '['.repeat(5000), 'a: *a', '---\n---\n'])(
    'reading %j does not fail',
    (content) => {
      expect(kubeconfigSecrets(content)).toEqual([]);
    },
  );
});

describe('secrets of the inputs', () => {
  test('are tokens, secret ids and the credentials of the kubeconfig, longest first', () => {
    const secrets = secretsOf({
      INPUT_VAULT_TOKEN: ' hvs.CAESIJabc \n',
      INPUT_VAULT_SECRET_ID: '6a174c20-f6de-a53c-74d2-6018fcceff64',
      INPUT_KUBECONFIG: KUBECONFIG,
      INPUT_VAULT_ROLE: 'deployer-of-nats',
    });
    expect([...secrets].sort()).toEqual(
      [...CREDENTIALS, 'hvs.CAESIJabc', '6a174c20-f6de-a53c-74d2-6018fcceff64'].sort(),
    );
    expect(secrets.map((secret) => secret.length)).toEqual(secrets.map((s) => s.length).sort((a, b) => b - a));
  });

  test('a secret of several lines is masked line by line', () => {
    expect(secretsOf({ INPUT_VAULT_TOKEN: 'first-part\r\n  second-part\nshort' })).toEqual([
      'second-part',
      'first-part',
    ]);
  });

  test('nothing shorter than eight characters is masked', () => {
    expect(secretsOf({ INPUT_VAULT_TOKEN: 'root', INPUT_VAULT_SECRET_ID: 'seven77' })).toEqual([]);
  });

  test('the path of a kubeconfig is no secret', () => {
    expect(secretsOf({ INPUT_KUBECONFIG: '/home/runner/.kube/config' })).toEqual([]);
  });

  test('a kubeconfig in base64 is masked whole, with what is in it', () => {
    const encoded = Buffer.from(KUBECONFIG).toString('base64');
    const secrets = secretsOf({ INPUT_KUBECONFIG: encoded });
    expect(secrets).toEqual(expect.arrayContaining([encoded, ...CREDENTIALS]));
  });

  test("what asks for the job's ID token, and the passwords of its proxies, are masked as well", () => {
    const secrets = secretsOf({
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
      HTTP_PROXY: 'http://proxy.example.com:3128',
      https_proxy: 'http://somebody:p%40ssw0rd@proxy.example.com:3128',
    });
    expect(secrets).toEqual(['request-token', 'p%40ssw0rd', 'p@ssw0rd']);
  });

  test('they are found when other inputs are wrong', () => {
    expect(secretsOf({ INPUT_VAULT_TOKEN: 'hvs.abcdefgh', INPUT_WAIT: 'maybe', INPUT_UNKNOWN: 'x' })).toEqual([
      'hvs.abcdefgh',
    ]);
  });
});

import { rootCertificates } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import { parseInputs } from '../../src/inputs/parse.ts';
import { INPUT_NAMES, INPUTS, type InputName } from '../../src/inputs/table.ts';
import { environmentWith, findingsOf, problemOf } from './environment-with.ts';
import { inputsWith } from './inputs-with.ts';

const [PEM = ''] = rootCertificates;
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
const SERVICE_URL = 'http://vault.vault.svc:8200';

function parsed(name: InputName, text: string): unknown {
  return parseInputs(environmentWith({ [name]: text })).inputs[name];
}

describe('what each input accepts', () => {
  test.each<[InputName, string, unknown]>([
    ['namespace', '  team-a \n', 'team-a'],
    ['namespace', '0', '0'],
    ['name', 'nats-1a2b3c4d', 'nats-1a2b3c4d'],
    ['name', `a${'b'.repeat(51)}`, `a${'b'.repeat(51)}`],
    ['helm_version', '9.0.28', '9.0.28'],
    ['nats_version', '2.14.6', '2.14.6'],
    ['create_namespace', 'TRUE', true],
    ['create_namespace', ' True ', true],
    ['wait', 'FALSE', false],
    ['instance_type_anti_affinity_required', 'false', false],
    ['replicas', '1', 1],
    ['replicas', ' 5 ', 5],
    ['sla_target', '3', 3],
    ['log_level', 'trace', 'trace'],
    ['mode', 'apply', 'apply'],
    ['mode', 'destroy', 'destroy'],
    ['fsync_interval_seconds', '0', 0],
    ['fsync_interval_seconds', ' 3 ', 3],
    ['fsync_interval_seconds', '600', 600],
    ['ping_interval_seconds', '10', 10],
    ['ping_interval_seconds', '30', 30],
    ['max_outstanding_catchup_mb', '128', 128],
    ['minimum_memory_mb', '50', 50],
    ['max_payload_mb', '64', 64],
    ['vault_credential_lifetime_hours', '2', 2],
    ['voluntary_disruption_window_seconds', '60', 60],
    ['persistence_storage_increase_threshold_percent', '99', 99],
    ['timeout', '7200', 7200],
    ['voluntary_disruption_window_cron_schedule', '*/15 0-6 * * MON,TUE', '*/15 0-6 * * MON,TUE'],
    ['persistence_storage_class_name', 'gp3.encrypted', 'gp3.encrypted'],
    [
      'labels',
      'team: payments\nexample.com/rev: 1.10\nbilled: true\nempty:',
      {
        team: 'payments',
        'example.com/rev': '1.10',
        billed: 'true',
        empty: '',
      },
    ],
    ['labels', '{"a": "0010"}', { a: '0010' }],
    [
      'vault_token_bound_cidrs',
      '10.0.0.0/8, 100.64.0.0/10\n\n192.0.2.0/24',
      ['10.0.0.0/8', '100.64.0.0/10', '192.0.2.0/24'],
    ],
    ['vault_token_bound_cidrs', '0.0.0.0/0,10.0.0.0/8,10.0.0.0/8', ['0.0.0.0/0', '10.0.0.0/8']],
    ['vault_token_bound_cidrs', '10.1.2.3 10.1.2.4/32', ['10.1.2.3', '10.1.2.4']],
    ['vault_token_bound_cidrs', 'FD00:0:0::/8,2001:DB8::1/128', ['fd00::/8', '2001:db8::1']],
    ['vault_url', 'https://vault.example.com:8200/', 'https://vault.example.com:8200'],
    ['vault_url', 'HTTP://Vault.example.com', 'http://vault.example.com'],
    ['vault_url', 'https://[2001:db8::1]:8200', 'https://[2001:db8::1]:8200'],
    ['vault_internal_pki_backend_mount_path', '/pki/nats/', 'pki/nats'],
    ['vault_kubernetes_auth_path', 'kubernetes/prod', 'kubernetes/prod'],
    ['vault_auth_path', 'jwt-github', 'jwt-github'],
    ['vault_namespace', 'admin/team-a', 'admin/team-a'],
    ['vault_role', 'nats.deployer-1', 'nats.deployer-1'],
    ['vault_jwt_audience', 'https://github.com/acme', 'https://github.com/acme'],
    ['vault_kubernetes_token_path', 'C:\\Program Files\\token', 'C:\\Program Files\\token'],
    ['vault_ca_certificate', `\n${PEM}\n${PEM}\n`, `${PEM}\n${PEM}`.trim()],
    ['kubeconfig', 'apiVersion: v1\nclusters: []\n', 'apiVersion: v1\nclusters: []'],
    ['kubeconfig', 'YXBpVmVyc2lvbjogdjEK', 'YXBpVmVyc2lvbjogdjEK'],
    ['kubeconfig', '/home/me/.kube/config', '/home/me/.kube/config'],
    ['context', 'arn:aws:eks:eu-west-1:1234:cluster/prod', 'arn:aws:eks:eu-west-1:1234:cluster/prod'],
    ['nats_image', 'nats:2.14.6', 'nats:2.14.6'],
    ['nats_image', 'localhost:5000/nats:mine', 'localhost:5000/nats:mine'],
    ['nats_image', `Reg.example.com/a__b/nats@${DIGEST}`, `Reg.example.com/a__b/nats@${DIGEST}`],
    ['nats_image', `nats:latest@${DIGEST}`, `nats:latest@${DIGEST}`],
  ])('%s %j is %j', (name, text, value) => {
    expect(parsed(name, text)).toEqual(value);
  });

  test.each(INPUT_NAMES.filter((name) => name !== 'namespace' && name !== 'vault_role'))(
    '%s: empty, white space, not set, and the default of action.yml are all the default',
    (name) => {
      const expected = 'default' in INPUTS[name] ? INPUTS[name].default : undefined;
      expect(expected).toBeDefined();
      for (const text of ['', ' \n\t', INPUTS[name].defaultText]) expect(parsed(name, text)).toEqual(expected);
      expect(inputsWith()[name]).toEqual(expected);
    },
  );
});

describe('what each input refuses, and what it says', () => {
  test.each<[InputName, string, string]>([
    ['fsync_interval_seconds', '601', 'fsync_interval_seconds "601" must be a whole number of seconds from 0 to 600'],
    ['fsync_interval_seconds', '-1', 'a whole number of seconds from 0 to 600'],
    ['ping_interval_seconds', '9', 'from 10 to 30'],
    ['ping_interval_seconds', '31', 'from 10 to 30'],
    ['max_outstanding_catchup_mb', '127', 'from 128'],
    ['minimum_memory_mb', '49', 'from 50'],
    [
      'pull_through_registry',
      'https://cache.example.com/',
      'path, such as 123456789012.dkr.ecr.us-east-2.amazonaws.com: write cache.example.com',
    ],
    ['pull_through_registry', 'user:secret@cache.example.com', 'pull_through_registry "***@cache.example.com" must be'],
    ['nats_image', `nats:2@${DIGEST}0`, `nats_image "nats:2@${DIGEST}0" must be`.slice(0, 40)],
    ['max_payload_mb', '65', 'from 1 to 64'],
    ['max_payload_mb', '0', 'from 1 to 64'],
    ['write_deadline_seconds', '0', 'from 1'],
    ['vault_credential_lifetime_hours', '1', 'a whole number of hours from 2'],
    ['voluntary_disruption_window_seconds', '59', 'from 60'],
    ['persistence_storage_increase_threshold_percent', '100', 'a whole number of percent from 1 to 99'],
    ['timeout', '29', 'from 30 to 7200'],
    ['max_connections', '1e3', 'max_connections "1e3" must be a whole number from 1 to 1000000: write 1000'],
    ['max_connections', '0x10', ': write 16'],
    ['max_connections', '010', ': write 10'],
    ['max_connections', '1_000', ': write 1000'],
    ['max_connections', '1,000', ': write 1000'],
    ['max_connections', '3.0', ': write 3'],
    ['max_connections', '+3', ': write 3'],
    ['timeout', '10m', ': write the number without a unit'],
    ['persistence_initial_storage_gb', '5GB', ': write the number without a unit'],
    ['persistence_storage_increase_threshold_percent', '20 %', ': write the number without a unit'],
    ['sla_target', '4', 'sla_target "4" must be one of 1, 2, 3'],
    ['replicas', '2', 'replicas "2" must be one of 1, 3, 5'],
    ['replicas', '03', 'must be one of 1, 3, 5'],
    ['log_level', 'DEBUG', 'log_level "DEBUG" must be one of info, debug, trace: did you mean debug?'],
    ['log_level', 'inof', ': did you mean info?'],
    ['zone_spread', 'none', 'zone_spread "none" must be one of required, preferred, off'],
    ['mode', 'aply', 'mode "aply" must be one of apply, plan, destroy: did you mean apply?'],
    ['wait', 'yes', 'wait "yes" must be true or false: write true'],
    ['wait', '1', ': write true'],
    ['wait', 'on', ': write true'],
    ['wait', 'NO', ': write false'],
    ['wait', '0', ': write false'],
    ['wait', 'constructor', 'wait "constructor" must be true or false'],
    ['namespace', '', 'namespace is missing: it must be the name of a namespace'],
    ['namespace', 'Team_A', 'namespace "Team_A" must be the name of a namespace'],
    ['namespace', 'a'.repeat(64), 'at most 63 characters'],
    ['name', '1nats', 'starts with a letter'],
    ['name', 'nats-', 'name "nats-" must be a name of lower-case letters'],
    ['name', 'a'.repeat(53), 'at most 52 characters'],
    ['name', 'admin-nats', 'does not start with superuser-, admin- or reader-, as the names of its users do'],
    ['cert_manager_namespace', 'a.b', 'the name of a namespace'],
    ['persistence_storage_class_name', 'gp3_fast', 'the name of a Kubernetes object'],
    ['certificate_issuer', 'Internal', 'the name of a Kubernetes object'],
    ['helm_version', 'v8.5.1', 'a version such as 2.10.26, three numbers with dots'],
    ['helm_version', 'v8.5.1', ': write 8.5.1'],
    [
      'nats_version',
      'V2.10.1',
      'nats_version "V2.10.1" must be a version such as 2.10.26, three numbers with dots: write 2.10.1',
    ],
    ['helm_version', '8.5', 'three numbers with dots'],
    ['nats_version', '2.10.026', 'three numbers with dots'],
    ['voluntary_disruption_window_cron_schedule', '0 4 * *', 'a cron schedule of five fields'],
    ['nats_image', 'nats 2.10', 'an image with its tag or digest, such as'],
    ['nats_image', 'https://docker.io/nats', 'an image with its tag or digest, such as'],
    ['nats_image', 'reg.example.com/Nats:1', 'an image with its tag or digest, such as'],
    ['nats_image', 'nats@sha256:abcd', 'an image with its tag or digest, such as'],
    ['exporter_image', 'nats:', 'an image with its tag or digest, such as'],
    ['reloader_image', 'reg.example.com/nats', ': untagged means latest, which changes with time'],
    ['nats_image', 'localhost:5000/nats', ': untagged means latest, which changes with time'],
    ['nats_image', 'nats:latest', ': latest changes with time'],
    ['labels', 'payments', 'labels "payments" must be a YAML map of labels, such as team: payments'],
    ['labels', '- team', 'must be a YAML map of labels'],
    ['labels', 'team: [a]', 'labels must have a text as value of "team", not a list or a map'],
    ['labels', 'team: a\nteam: b', 'must be a YAML map of labels: duplicated mapping key'],
    ['labels', '"', 'must be a YAML map of labels: unexpected end'],
    ['labels', '"a b": c', 'not "a b"'],
    ['labels', 'Example.com/team: c', 'not "Example.com/team"'],
    ['labels', '/team: c', 'not "/team"'],
    ['labels', '__proto__: c', 'not "__proto__"'],
    ['labels', 'team: "a b"', 'not "a b"'],
    [
      'labels',
      `long: ${'a'.repeat(64)}`,
      'labels must have at most 63 letters, digits, "-", "_" and "." as value of "long"',
    ],
    ['labels', 'team: -a', 'a letter or digit first and last, not "-a"'],
    ['labels', 'app.kubernetes.io/name: x', 'must not set app.kubernetes.io/name, which this action sets itself'],
    ['labels', 'app.kubernetes.io/instance: x', 'must not set app.kubernetes.io/instance'],
    ['labels', 'app.kubernetes.io/managed-by: x', 'must not set app.kubernetes.io/managed-by'],
    ['labels', 'applyset.kubernetes.io/part-of: x', 'must not set applyset.kubernetes.io/part-of'],
    ['vault_token_bound_cidrs', ',', 'must name at least one network'],
    ['vault_token_bound_cidrs', '10.0.0.0/33', 'not 10.0.0.0/33'],
    ['vault_token_bound_cidrs', '10.0.0/8,10.0.0.0/8,::/129', 'not 10.0.0/8, ::/129'],
    ['vault_token_bound_cidrs', 'fe80::1%eth0/64', 'not fe80::1%eth0/64'],
    ['vault_url', 'vault.example.com:8200', ': write http:// or https:// in front'],
    ['vault_url', 'https://vault.example.com/v1', 'an http:// or https:// address without a path'],
    ['vault_url', 'https://vault.example.com?x=1', 'without a path'],
    ['vault_url', 'https://vault.example.com#x', 'without a path'],
    ['vault_url', 'https://vault.example.com:99999', 'without a path'],
    ['vault_url', 'ftp://vault.example.com', 'an http:// or https:// address'],
    ['vault_url', 'https:vault.example.com', 'an http:// or https:// address'],
    ['vault_url', 'https://va ult', 'an http:// or https:// address'],
    ['vault_url', 'https://me:pass@vault', 'vault_url "https://***@vault" must not contain a user name or password'],
    ['vault_internal_pki_backend_mount_path', 'pki/../sys', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', './pki', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', 'pki//internal', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', 'pki?list=true', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', 'pki#x', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', 'pki/*', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', 'pki/+/x', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', 'pki" {}', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', '{{identity.entity.id}}', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', 'pki%2f', 'a path such as pki/internal'],
    ['vault_internal_pki_backend_mount_path', '/', 'a path such as pki/internal'],
    ['vault_namespace', 'admin/..', 'a path such as pki/internal'],
    ['vault_auth_path', '/auth/jwt/', 'vault_auth_path "/auth/jwt/" must not start with auth/: write jwt'],
    ['vault_kubernetes_auth_path', 'auth/kubernetes', 'must not start with auth/: write kubernetes'],
    ['vault_kubernetes_auth_path', '../x', 'a path such as pki/internal'],
    ['vault_role', 'a/b', 'a name of letters, digits'],
    ['vault_role', '..', 'a name of letters, digits'],
    ['vault_jwt_audience', 'a b', 'one word without spaces'],
    ['vault_role_id', 'a\nb', 'one word without spaces'],
    ['context', 'a\nb', 'context "a"... must be a single line'],
    ['vault_ca_certificate', 'MIIB', 'one or more PEM certificates'],
    ['vault_ca_certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----', 'PEM certificates'],
    ['vault_ca_certificate', `${PEM}\nand more`, 'and nothing else'],
    ['vault_ca_certificate', PEM.replaceAll('CERTIFICATE', 'PRIVATE KEY'), 'PEM certificates'],
    ['kubeconfig', 'just\ntext', 'kubeconfig must be the content of a kubeconfig file'],
  ])('%s %j', (name, text, expected) => {
    const findings = findingsOf({ [name]: text });
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatch(new RegExp(`^${name} `));
    expect(findings[0]).toContain(expected);
    expect(findings[0]).not.toContain('\n');
  });

  test('another number is not taken for a misspelt one', () => {
    expect(findingsOf({ replicas: '4' })).toEqual(['replicas "4" must be one of 1, 3, 5']);
  });

  test.each(['1e3', '0x10', '5.5', 'NaN', 'Infinity', '-Infinity', '١٢', '1e', '--1', '0b1'])(
    'a number written as %s is refused, and nothing beyond the bounds is proposed',
    (text) => {
      const [finding] = findingsOf({ persistence_storage_increase_threshold_percent: text });
      expect(finding).toContain(`${JSON.stringify(text)} must be a whole number of percent from 1 to 99`);
      expect(finding).not.toContain('write 1000');
    },
  );
});

test('consent to a loss is taken in mode destroy only', () => {
  const consent = { delete_data: 'true', delete_namespace: 'true' };
  expect(findingsOf(consent)).toEqual([
    'delete_data is for mode destroy only, and mode is apply',
    'delete_namespace is for mode destroy only, and mode is apply',
  ]);
  expect(findingsOf({ mode: 'destroy', ...consent })).toEqual([]);
});

describe('rules between inputs', () => {
  test.each<[string, { [name: string]: string }, string[]]>([
    [
      'token without a token',
      { vault_auth_method: 'token' },
      ['vault_token is missing: vault_auth_method token needs it'],
    ],
    ['token', { vault_auth_method: 'token', vault_token: 'hvs.abcdefgh', vault_role: '' }, []],
    [
      'approle with nothing',
      { vault_auth_method: 'approle', vault_role: '' },
      [
        'vault_role_id is missing: vault_auth_method approle needs it',
        'vault_secret_id is missing: vault_auth_method approle needs it',
      ],
    ],
    ['approle', { vault_auth_method: 'approle', vault_role_id: 'r', vault_secret_id: 's' }, []],
    ['jwt without a role', { vault_role: '' }, ['vault_role is missing: vault_auth_method jwt needs it']],
    [
      'kubernetes without a role',
      { vault_auth_method: 'kubernetes', vault_role: '' },
      ['vault_role is missing: vault_auth_method kubernetes needs it'],
    ],
    ['a service as internal address', { vault_internal_url: SERVICE_URL }, []],
    ['a service with the cluster domain', { vault_internal_url: 'https://v.ns.svc.cluster.local' }, []],
    [
      'an address that the API server cannot reach',
      { vault_internal_url: 'https://vault.example.com' },
      [
        'vault_url is missing: vault_internal_url "https://vault.example.com" is no service of the cluster ' +
          '(http://SERVICE.NAMESPACE.svc:PORT), so the Kubernetes API server cannot pass requests on to it',
      ],
    ],
    [
      'a public address for both',
      { vault_internal_url: 'https://vault.example.com', vault_url: 'https://vault.example.com' },
      [],
    ],
    [
      'a storage limit below the first size',
      { persistence_initial_storage_gb: '10', persistence_storage_limit_gb: '5' },
      ['persistence_storage_limit_gb "5" must not be less than persistence_initial_storage_gb, which is 10'],
    ],
    [
      'a storage limit of the first size',
      { persistence_initial_storage_gb: '10', persistence_storage_limit_gb: '10' },
      [],
    ],
    [
      'a registry of a cache that is not used',
      { pull_through_registry: 'cache.example.com' },
      ['pull_through_registry "cache.example.com" needs pull_through_cache_enabled: true'],
    ],
    [
      'a registry of a cache that is used',
      { pull_through_registry: 'cache.example.com', pull_through_cache_enabled: 'true' },
      [],
    ],
    [
      'a rule whose input is unreadable is not checked',
      { persistence_initial_storage_gb: 'x', persistence_storage_limit_gb: '5' },
      ['persistence_initial_storage_gb "x" must be a whole number of GB from 1 to 65536'],
    ],
  ])('%s', (_, inputs, findings) => {
    expect(findingsOf(inputs)).toEqual(findings);
  });
});

describe('unknown inputs', () => {
  test.each([
    ['vault_tokn', 'vault_tokn is not an input of this action: did you mean vault_token?'],
    ['Namespaces', 'namespaces is not an input of this action: did you mean namespace?'],
    [
      'ping-interval-seconds',
      'ping-interval-seconds is not an input of this action: did you mean ping_interval_seconds?',
    ],
    ['unrelated', 'unrelated is not an input of this action'],
  ])('%s', (name, finding) => {
    expect(findingsOf({ [name]: 'value' })).toEqual([finding]);
  });

  test('other variables of the environment are not inputs', () => {
    const env = { ...environmentWith({}), PATH: '/bin', GITHUB_TOKEN: 'x', NAMESPACE: 'other' };
    expect(parseInputs(env).inputs.namespace).toBe('demo');
  });
});

describe('labels', () => {
  test('each mistake is a finding of its own, which names the label', () => {
    const labels = 'team: payments\n"a b": c\nlist: [a]\nteam2: "a b"\napp.kubernetes.io/name: x';
    const problem = problemOf({ labels });
    expect(problem?.details.reason).toMatch(/^4 mistakes/);
    expect(problem?.details.findings).toEqual([
      'labels must have keys such as team or example.com/team, not "a b"',
      'labels must have a text as value of "list", not a list or a map',
      'labels must have at most 63 letters, digits, "-", "_" and "." as value of "team2", a letter or digit first and ' +
        'last, not "a b"',
      'labels must not set app.kubernetes.io/name, which this action sets itself',
    ]);
  });

  test('a secret in one of them is not quoted', () => {
    const token = 'hvs.CAESIJ-abcdefghijklmnop';
    expect(findingsOf({ vault_token: token, labels: `a: [b]\ntoken: "${token} "` })).toEqual([
      'labels contains a secret, and must be a YAML map of labels',
    ]);
  });
});

describe('versions', () => {
  test.each<[InputName, RegExp]>([
    ['nats_version', /a release of (?<known>.*)$/],
    ['helm_version', /known are (?<known>\S+).* (?<last>\S+)$/],
  ])('the sentence of %s tells which are known', (name, pattern) => {
    const { known = '', last } = pattern.exec(findingsOf({ [name]: '0.0.1' })[0] ?? '')?.groups ?? {};
    expect(known).toMatch(/^\d/);
    expect(INPUTS[name].sentence).toContain(last === undefined ? known : `${known} to ${last}`);
  });
});

describe('the message', () => {
  test('every mistake of a run is in one message, as it is read in the log', () => {
    const problem = problemOf({
      namespace: '',
      fsync_interval_seconds: '10s',
      log_level: 'debgu',
      vault_auth_method: 'token',
      vault_tokn: 'hvs.CAESIJ',
      mode: 'rollback',
    });
    expect(problem?.details.kind).toBe('input');
    expect(problem?.message).toMatchInlineSnapshot(`
"Reading the inputs: 6 mistakes, nothing was sent anywhere.
  - namespace is missing: it must be the name of a namespace: lower-case letters, digits and "-", at most 63 characters
  - log_level "debgu" must be one of info, debug, trace: did you mean debug?
  - fsync_interval_seconds "10s" must be a whole number of seconds from 0 to 600: write the number without a unit
  - mode "rollback" must be one of apply, plan, destroy
  - vault_token is missing: vault_auth_method token needs it
  - vault_tokn is not an input of this action: did you mean vault_token?
Correct the inputs of the step ("with:") and run the workflow again."
`);
  });

  test('a single mistake', () => {
    expect(problemOf({ wait: 'yes' })?.message).toMatchInlineSnapshot(`
"Reading the inputs: one mistake, nothing was sent anywhere.
  - wait "yes" must be true or false: write true
Correct the inputs of the step ("with:") and run the workflow again."
`);
  });

  test('a long value is cut', () => {
    const [finding = ''] = findingsOf({ wait: 'x'.repeat(10_000) });
    expect(finding.length).toBeLessThan(150);
  });

  test('a secret in the wrong input is not quoted', () => {
    const token = 'hvs.CAESIJ-abcdefghijklmnop';
    expect(findingsOf({ vault_token: token, vault_role: `role ${token}` })).toEqual([
      'vault_role contains a secret, and must be a name of letters, digits, "-", "_" and "."',
    ]);
  });

  test('a secret input that is refused is not quoted', () => {
    expect(findingsOf({ vault_auth_method: 'token', vault_token: 'hvs.abc def' })).toEqual([
      'vault_token must be one word without spaces',
    ]);
  });
});

import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseInputs } from '../../src/inputs/parse.ts';
import { environmentWith, findingsOf } from './environment-with.ts';

const EVERY_FORM = `
- podSelector:
    matchLabels: { app: shop, example.com/rev: 1.10 }
    matchExpressions:
      - { key: tier, operator: NotIn, values: [batch, ""] }
      - { key: legacy, operator: DoesNotExist }
- namespaceSelector: {}
  podSelector: {}
- ipBlock:
    cidr: 10.0.0.0/8
    except: [10.1.0.0/16, 10.2.3.4/32]
- ipBlock: { cidr: "2001:db8::/32" }
`;

test('every form of a peer is taken as it is written', () => {
  const { inputs } = parseInputs(environmentWith({ network_policy_clients: EVERY_FORM }));
  expect(inputs.network_policy_clients).toEqual([
    {
      podSelector: {
        matchLabels: { app: 'shop', 'example.com/rev': '1.10' },
        matchExpressions: [
          { key: 'tier', operator: 'NotIn', values: ['batch', ''] },
          { key: 'legacy', operator: 'DoesNotExist' },
        ],
      },
    },
    { namespaceSelector: {}, podSelector: {} },
    { ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.3.4/32'] } },
    { ipBlock: { cidr: '2001:db8::/32' } },
  ]);
});

test('the peers of the docs are taken', () => {
  const [, yaml = ''] =
    /network_policy_clients: \|\n((?: {2}.*\n)+)/.exec(readFileSync('docs/connecting.md', 'utf8')) ?? [];
  const network_policy_clients = yaml.replaceAll(/^ {2}/gm, '');
  const { inputs } = parseInputs(environmentWith({ network_policy_clients }));
  expect(inputs.network_policy_clients).toHaveLength(3);
});

describe('refused is', () => {
  test.each([
    [
      'a map',
      'podSelector: {}',
      'network_policy_clients "podSelector: {}" must be a YAML list of network policy peers',
    ],
    ['a word', 'everyone', 'must be a YAML list of network policy peers'],
    ['no YAML', '- "', 'must be a YAML list of network policy peers, such as'],
    ['a list that goes round', '&a [*a]', 'must be a YAML list'],
    ['an empty list', '[]', 'must name a peer: leave the input empty to let clients in from anywhere'],
    ['an empty peer', '- {}', '[0] must have a podSelector, a namespaceSelector or an ipBlock'],
    ['a peer that is a text', '- shop', '[0] must be a map of podSelector, namespaceSelector, ipBlock'],
    ['a peer without a value', '-', '[0] must be a map of'],
    ['a misspelt key', '- podSelectors: {}', '[0] must not have the key "podSelectors": did you mean podSelector?'],
    ['a selector without a value', '- podSelector:', '[0].podSelector must be a map of matchLabels, matchExpressions'],
    [
      'labels beside matchLabels',
      '- podSelector: { app: shop }',
      '[0].podSelector must not have the key "app": it knows matchLabels, matchExpressions',
    ],
    [
      'the key of a label',
      '- podSelector: { matchLabels: { "a b": c } }',
      '[0].podSelector.matchLabels must have keys such as team or example.com/team, not "a b"',
    ],
    [
      'the value of a label',
      '- namespaceSelector: { matchLabels: { a: "b c" } }',
      '[0].namespaceSelector.matchLabels must have at most 63 letters',
    ],
    ['labels as a list', '- podSelector: { matchLabels: [a] }', '[0].podSelector.matchLabels must be a map of labels'],
    [
      'an operator',
      '- podSelector: { matchExpressions: [{ key: a, operator: Equals, values: [b] }] }',
      '[0].podSelector.matchExpressions[0].operator must be one of In, NotIn, Exists, DoesNotExist',
    ],
    [
      'In without values',
      '- podSelector: { matchExpressions: [{ key: a, operator: In }] }',
      '[0].podSelector.matchExpressions[0] must have values with In',
    ],
    [
      'Exists with values',
      '- podSelector: { matchExpressions: [{ key: a, operator: Exists, values: [b] }] }',
      '[0].podSelector.matchExpressions[0] must not have values with Exists',
    ],
    [
      'a requirement without a key',
      '- podSelector: { matchExpressions: [{ operator: Exists }] }',
      '[0].podSelector.matchExpressions[0] must have keys such as',
    ],
    [
      'an address',
      '- ipBlock: { cidr: 10.0.0.1 }',
      '[0].ipBlock.cidr must be a network such as 10.0.0.0/8 or fd00::/8',
    ],
    ['a long prefix', '- ipBlock: { cidr: 10.0.0.0/33 }', 'not "10.0.0.0/33"'],
    ['an ipBlock without a network', '- ipBlock: {}', '[0].ipBlock must have a cidr'],
    [
      'an exception outside',
      '- ipBlock: { cidr: 10.0.0.0/8, except: [11.0.0.0/16] }',
      '[0].ipBlock.except must be within 10.0.0.0/8 and smaller, which 11.0.0.0/16 is not',
    ],
    ['an exception of all', '- ipBlock: { cidr: 10.0.0.0/8, except: [10.0.0.0/8] }', 'and smaller, which 10.0.0.0/8'],
    [
      'an exception of another family',
      '- ipBlock: { cidr: 10.0.0.0/8, except: ["fd00::/16"] }',
      'which fd00::/16 is not',
    ],
    [
      'an ipBlock beside a selector',
      '- { ipBlock: { cidr: 10.0.0.0/8 }, podSelector: {} }',
      '[0] must not have an ipBlock beside a selector',
    ],
  ])('%s', (_, text, expected) => {
    const findings = findingsOf({ network_policy_clients: text });
    expect(findings).toEqual([expect.stringContaining(expected)]);
    expect(findings[0]).toMatch(/^network_policy_clients /);
  });

  test('everything that is wrong, at once', () => {
    const text =
      '- {}\n- { podSelector: { matchLabels: { "a b": "c d" } }, port: 1 }\n- ipBlock: { cidr: x, except: [y] }';
    expect(findingsOf({ network_policy_clients: text })).toEqual([
      expect.stringContaining('[0] must have'),
      expect.stringContaining('[1].podSelector.matchLabels must have keys'),
      expect.stringContaining('[1] must not have the key "port"'),
      expect.stringContaining('[2].ipBlock.cidr must be a network'),
      expect.stringContaining('[2].ipBlock.except[0] must be a network'),
    ]);
  });

  test('clients of a policy that is switched off', () => {
    const clients = { network_policy_clients: '- podSelector: {}' };
    expect(findingsOf({ ...clients, network_policy_enabled: 'false' })).toEqual([
      'network_policy_clients needs network_policy_enabled: true',
    ]);
    expect(findingsOf({ ...clients, network_policy_enabled: 'true' })).toEqual([]);
    expect(findingsOf({ network_policy_enabled: 'false' })).toEqual([]);
  });
});

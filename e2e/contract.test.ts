import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ContractServers, contractCases, runCase } from '../simulator/contract.ts';
import { clusterServers } from '../simulator/contract-servers.ts';
import { kubeconfig, vaultToken } from './cluster.ts';

const namespace = `contract-${randomUUID().slice(0, 8)}`;
const cases = contractCases(namespace, 'pki/internal');
const answers = JSON.parse(readFileSync(new URL('../simulator/contract-answers.json', import.meta.url), 'utf8'));

let servers: ContractServers & { close(): void };

beforeAll(async () => {
  servers = clusterServers(readFileSync(kubeconfig, 'utf8'), vaultToken());
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  const created = await servers.kubernetes.send({ method: 'POST', path: '/api/v1/namespaces', body });
  expect(created.status).toBe(201);
});

afterAll(async () => {
  await servers.kubernetes.send({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` });
  servers.close();
});

test.each(cases)('the real servers answer as recorded: $title', async (contractCase) => {
  expect(await runCase(servers, contractCase, namespace)).toEqual(answers[contractCase.title]);
});

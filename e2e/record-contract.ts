/**
 * Records what the real servers answer to the contract's requests: after a change of simulator/contract.ts run
 * `node e2e/record-contract.ts` with the variables that e2e/README.md names.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { contractCases, runCase } from '../simulator/contract.ts';
import { clusterServers } from '../simulator/contract-servers.ts';
import { kubeconfig, vaultToken } from './cluster.ts';

const namespace = `contract-${randomUUID().slice(0, 8)}`;
const servers = clusterServers(readFileSync(kubeconfig, 'utf8'), vaultToken());
const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
await servers.kubernetes.send({ method: 'POST', path: '/api/v1/namespaces', body });
try {
  const answers: { [title: string]: unknown } = {};
  for (const contractCase of contractCases(namespace, 'pki/internal')) {
    answers[contractCase.title] = await runCase(servers, contractCase, namespace);
  }
  writeFileSync(
    new URL('../simulator/contract-answers.json', import.meta.url),
    `${JSON.stringify(answers, null, 2)}\n`,
  );
} finally {
  await servers.kubernetes.send({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}` });
  servers.close();
}

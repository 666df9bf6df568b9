import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ContractServers, type ContractStep, contractCases, runCase } from '../../simulator/contract.ts';
import { simulatedServers } from '../../simulator/contract-servers.ts';
import { type Simulator, startSimulator } from '../../simulator/simulator.ts';
import type { JsonObject } from '../../src/json.ts';

const NAMESPACE = 'contract-test';
const CASES = contractCases(NAMESPACE, 'pki/internal');
const answers = JSON.parse(readFileSync(new URL('../../simulator/contract-answers.json', import.meta.url), 'utf8'));

let simulator: Simulator;
let servers: ContractServers & { close(): void };

beforeAll(async () => {
  simulator = await startSimulator({ namespaces: [NAMESPACE] });
  servers = simulatedServers(simulator);
});

afterAll(async () => {
  servers.close();
  await simulator.close();
});

test.each(CASES)('the simulator answers as the real servers do: $title', async (contractCase) => {
  expect(await runCase(servers, contractCase, NAMESPACE)).toEqual(answers[contractCase.title]);
});

test('answers are the same in whatever order managers wrote, within a second or not', async () => {
  const entry = (manager: string, operation: string, time: string) => ({ manager, operation, time });
  const a = entry('a', 'Apply', '2026-01-01T00:00:00Z');
  const b = entry('b', 'Apply', '2026-01-01T00:00:01Z');
  const edited = entry('a', 'Update', '2026-01-01T00:00:02Z');
  const status = { ...entry('a', 'Update', '2026-01-01T00:00:03Z'), subresource: 'status' };
  const answersWith = (...managedFields: JsonObject[]) => {
    const send = async () => ({ status: 200, headers: {}, body: JSON.stringify({ metadata: { managedFields } }) });
    const steps: ContractStep[] = [{ server: 'kubernetes', method: 'GET', path: '/' }];
    return runCase({ kubernetes: { send }, vault: send, vaultToken: '' }, { title: '', steps }, NAMESPACE);
  };
  expect(await answersWith(b, status, a, edited)).toEqual(await answersWith(a, b, edited, status));
  expect(await answersWith(a, b)).not.toEqual(await answersWith(a, edited));
});

test('every recorded case is run', () => {
  expect(Object.keys(answers).sort()).toEqual(CASES.map(({ title }) => title).sort());
});

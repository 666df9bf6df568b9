import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ContractServers, contractCases, runCase } from '../../simulator/contract.ts';
import { simulatedServers } from '../../simulator/contract-servers.ts';
import { type Simulator, startSimulator } from '../../simulator/simulator.ts';

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

test('every recorded case is run', () => {
  expect(Object.keys(answers).sort()).toEqual(CASES.map(({ title }) => title).sort());
});

import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ModuleCluster } from './attacks/module-cluster.ts';
import { attack, type Findings, named, told } from './attacks/suite.ts';

/** What the Terraform module's own configuration lets through, on the server that it ships: the suite must find all of it. */
const HOLES = [
  'superuser purges a stream in the name of the account of the data',
  'superuser takes a snapshot in the name of the account of the data',
  'superuser writes a message by a Raft proposal',
  'superuser purges the whole account of the data',
  'admin purges the whole account of the data',
  'admin purges the whole account of the data in the name of the system',
  'reader listens to >',
  'superuser listens to >',
  'reader listens to _INBOX.>',
  'reader listens to live.>',
  'reader listens to noise.>',
  'reader listens to svc.quote',
  'superuser listens to $NRG.>',
  'reader answers for a service',
  'admin removes a server from JetStream',
  'admin by any name of the shared mount comes in as a client',
  'server by common name alone joins as a route',
  'server by any name of the shared mount joins as a route',
  'reader joins as a route',
  'admin joins as a route',
  'superuser joins as a route',
  'superuser of nats-2c3d joins as a route',
  'admin of nats-2c3d joins as a route',
  'reader of nats-2c3d joins as a route',
  'cluster of nats-2c3d joins as a route',
];

let cluster: ModuleCluster;
let findings: Findings;

beforeAll(async () => {
  cluster = await ModuleCluster.start('2.10.23');
  findings = await attack(cluster.target);
  const held = named(findings.probes, 'held').length;
  console.log(
    `the module on 2.10.23: ${findings.probes.length} probes, ${held} held, ${findings.seconds.toFixed(0)} s`,
  );
}, 600_000);

afterAll(() => cluster?.stop());

it('finds every known hole of the module, and no other', () => {
  expect(named(findings.probes, 'broken')).toEqual(HOLES);
});

it('has those who may do the same succeed', () => {
  expect(told(findings.controls, 'held')).toEqual([]);
});

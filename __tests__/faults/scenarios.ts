import { installModuleCluster } from '../../simulator/module-cluster.ts';
import type { Scenario } from './exhaustive.ts';

/** The runs that are disturbed. */
export const SCENARIOS: { [name: string]: Scenario } = {
  'a first apply': { before: [], inputs: {} },
  'an upgrade': {
    before: [{ nats_version: '2.12.7' }],
    inputs: { nats_version: '2.14.6', log_level: 'debug', network_policy_enabled: 'false' },
  },
  'a removal': { before: [{}], inputs: { mode: 'destroy', delete_data: 'true' } },
  'a take-over': {
    before: [],
    inputs: { remove_module_leftovers: 'true' },
    furniture: {
      options: { namespaces: ['demo'], apiGroups: ['autoscaling.k8s.io', 'kyverno.io'] },
      furnish: (simulator) =>
        installModuleCluster(simulator, {
          namespace: 'demo',
          name: 'nats',
          helm: { manager: 'helm', operation: 'Update' },
          image: 'docker.io/bitnamilegacy/nats:2.10.22-debian-12-r3',
          storageClassName: 'ebs-standard-retained',
          clusterIssuer: 'internal',
          hasAutoscaler: true,
        }),
    },
  },
};

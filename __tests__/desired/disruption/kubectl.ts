/**
 * kubectl for the scripts of the disruption windows. Its cluster is one budget in state.json of the current directory: as
 * the API server it counts versions and refuses a write that is based on an older one.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { digText } from '../../../src/json.ts';
import type { KubeObject } from '../../../src/kube/object.ts';

export interface State {
  budget: KubeObject;
  /** Annotations that another manager set: an apply leaves them where they are. */
  ofOthers: string[];
  /** What somebody else makes of the budget just before the next write. */
  meanwhile?: KubeObject;
}

const STATE = 'state.json';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    namespace: { type: 'string' },
    output: { type: 'string', default: '' },
    'server-side': { type: 'boolean', default: false },
    'force-conflicts': { type: 'boolean' },
    'field-manager': { type: 'string', default: '' },
    filename: { type: 'string' },
    'resource-version': { type: 'string', default: '' },
  },
});

const state: State = JSON.parse(readFileSync(STATE, 'utf8'));

function write(version: unknown, change: (live: KubeObject) => KubeObject): void {
  const { meanwhile, ...rest } = state;
  const live = meanwhile ?? state.budget;
  const isCurrent = version === live.metadata.resourceVersion;
  const budget = isCurrent ? change(live) : live;
  const metadata = { ...budget.metadata, resourceVersion: `${Number(live.metadata.resourceVersion) + 1}` };
  const written = isCurrent ? { ...budget, metadata } : live;
  writeFileSync(STATE, JSON.stringify({ ...rest, budget: written }));
  if (!isCurrent) throw new Error('the object has been modified');
  print(written);
}

/** The fields that a JSONPath such as {.a.b\.c}|{.d} names. */
function print(object: KubeObject): void {
  const template = values.output.replace(/^jsonpath=/, '');
  const keys = (path: string) => path.split(/(?<!\\)\./).map((key) => key.replaceAll('\\.', '.'));
  console.log(template.replace(/\{\.(.*?)\}/g, (_, path: string) => digText(object, ...keys(path))));
}

function apply(manifest: KubeObject): void {
  const { resourceVersion, ...metadata } = manifest.metadata;
  write(resourceVersion, (live) => {
    const others = Object.entries(live.metadata.annotations ?? {}).filter(([key]) => state.ofOthers.includes(key));
    const annotations = { ...Object.fromEntries(others), ...metadata.annotations };
    return { ...manifest, metadata: { ...metadata, annotations } };
  });
}

function annotate(removal = ''): void {
  write(values['resource-version'], (live) => {
    const annotations = Object.entries(live.metadata.annotations ?? {}).filter(([key]) => `${key}-` !== removal);
    return { ...live, metadata: { ...live.metadata, annotations: Object.fromEntries(annotations) } };
  });
}

const [command, kind, name, removal] = positionals;
const { namespace, name: budget } = state.budget.metadata;
if (values.namespace !== namespace) throw new Error(`no right in namespace ${values.namespace}`);
if (command === 'apply' && values['server-side'] && values['field-manager'] === 'kube-nats-action') {
  apply(JSON.parse(readFileSync(0, 'utf8')));
} else if (kind !== 'poddisruptionbudget' || name !== budget) {
  throw new Error(`no right to ${positionals.join(' ')}`);
} else if (command === 'get') print(state.budget);
else if (command === 'annotate') annotate(removal);
else throw new Error(`no right to ${command}`);

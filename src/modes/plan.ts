import { Problem } from '../problem.ts';
import type { RunContext } from '../reconcile/context.ts';
import { creation, type Plan } from '../reconcile/plan/plan.ts';
import { reportOf } from '../reconcile/plan/plan-report.ts';
import {
  countsOf,
  diffOf,
  findingsOf,
  isDrift,
  type PlanReport,
  planJson,
  planText,
  redactedPlan,
  titleOf,
} from '../report/plan-report.ts';
import type { Mode } from './mode.ts';
import { type Opening, open } from './opening.ts';

/** Tells what an apply would change, without a write. Rejects where it would be refused, and with fail_on_drift on any change. */
export const plan: Mode = async (inputs, ports, report) => {
  const opening = await open(inputs, ports, report);
  const { context, target } = opening;
  const whole = reportOf(wholePlan(opening), target.refusal === null ? [] : [target.refusal.message]);
  const told = redactedPlan(whole, ports.redact);
  const findings = findingsOf(told);
  report.plan = { counts: countsOf(told), findings };
  for (const finding of findings) ports.log.warning(finding);
  for (const change of told.changes) ports.log.group(titleOf(change), diffOf(change));
  ports.log.info(`Plan: ${countsOf(told)}. Nothing was written.`);
  ports.setOutputs({ drift: `${isDrift(told)}`, plan: planText(told), plan_json: planJson(told) });
  if (inputs.fail_on_drift && isDrift(told)) throw driftProblem(context, told);
};

/** With what an apply makes before it compares again, and what is made by controllers for it meanwhile. */
function wholePlan({ context, target, intent, plan }: Opening): Plan {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: context.namespace } };
  const isServersChange = plan.objects.some(({ object }) => object.kind === 'StatefulSet');
  const coming = [
    ...(target.namespaceExists ? [] : [namespace]),
    ...(isServersChange ? intent.desired.comingClaims : []),
  ];
  return { ...plan, objects: [...coming.map((object) => creation(object, {})), ...plan.objects] };
}

const MAKE_IT_SO = 'Run with mode: apply to make it so, or change the inputs to what the cluster is.';

const FIRST = 'An apply would be refused as things are: see the warnings, and put that right first.';

function driftProblem({ namespace, name }: RunContext, told: PlanReport): Problem {
  return new Problem({
    kind: 'drift',
    tried: `Comparing NATS cluster ${namespace}/${name} with what it should be`,
    reason: `It differs (${countsOf(told)}), and fail_on_drift is true; nothing was written.`,
    findings: told.changes.map((change) => {
      const paths = change.fields.map(({ path }) => path).join(', ');
      return `${titleOf(change)}${paths === '' ? '' : `: ${paths}`}`;
    }),
    next: told.refusals.length === 0 ? MAKE_IT_SO : `${FIRST} ${MAKE_IT_SO}`,
  });
}

/**
 * A job whose runner is a pod of the cluster: its main and post step, with the inputs in $JOB_INPUTS (JSON). Prints how
 * they ended, as JSON.
 */
import { runMain, runPost, type Values } from '../simulator/runner.ts';

const inputs: Values = JSON.parse(process.env.JOB_INPUTS ?? '{}');
const { KUBERNETES_SERVICE_HOST = '', KUBERNETES_SERVICE_PORT = '' } = process.env;
const environment = { KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT };
const main = await runMain(inputs, environment);
const post = await runPost(inputs, main.state, environment);
console.log(JSON.stringify({ main, post }));

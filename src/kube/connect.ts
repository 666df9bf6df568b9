import type https from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { Credentials } from '../http/pool.ts';
import { isKubeconfigContent, kubeconfigInBase64 } from '../inputs/kubeconfig.ts';
import { kubeconfigSecrets } from '../inputs/secrets.ts';
import { Problem } from '../problem.ts';

/** Milliseconds an exec plugin (aws, gcloud, kubelogin) may take to hand out credentials. */
const CREDENTIALS_TIMEOUT = 60_000;

/** Characters of what a failing exec plugin wrote that a message shows. */
const LONGEST_COMPLAINT = 500;

/** The inputs that tell which cluster is meant. */
export interface ConnectionInputs {
  kubeconfig: string | null;
  context: string | null;
}

/** What the machine offers when the inputs name no kubeconfig. */
export interface Surroundings {
  /** The runner is a pod: it has a ServiceAccount token and the API server's address. */
  inCluster: boolean;
  /** A kubeconfig of an earlier step or of the user: $KUBECONFIG or ~/.kube/config. */
  hasDefaultKubeconfig: boolean;
}

export interface ClusterConnection {
  /** "https://203.0.113.7:6443" */
  server: string;
  context: string;
  /** What the kubeconfig holds that must not be printed. */
  secrets: string[];
  credentials(): Promise<Credentials>;
}

/**
 * Chooses the cluster as kubectl does: the input (content or path), else $KUBECONFIG or ~/.kube/config, else the pod's
 * own ServiceAccount. Rejects nothing on the network: nothing is sent yet.
 */
export function connect(inputs: ConnectionInputs, surroundings: Surroundings): ClusterConnection {
  const config = new KubeConfig();
  load(config, inputs.kubeconfig, surroundings);
  if (inputs.context !== null) config.setCurrentContext(inputs.context);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw noSuchContext(config);
  checkServer(cluster.server);
  checkUser(config);
  return {
    server: cluster.server,
    context: config.getCurrentContext(),
    secrets: kubeconfigSecrets(config.exportConfig()),
    credentials: credentialsOf(config),
  };
}

function load(config: KubeConfig, kubeconfig: string | null, surroundings: Surroundings): void {
  const source = sourceOf(kubeconfig, surroundings);
  try {
    source.load(config);
  } catch (error) {
    throw new Problem({
      kind: 'connection',
      tried: `Reading the kubeconfig (${source.name})`,
      reason: `${whyUnreadable(error)}.`,
      next: 'Pass the whole YAML text of a kubeconfig, or the path of such a file, as input kubeconfig.',
    });
  }
}

/** Never quotes what was read: YAML errors go on with the text around the mistake, and a "path" may be a pasted token. */
function whyUnreadable(error: unknown): string {
  if (error instanceof Error && 'code' in error) return `No such file can be read (${error.code})`;
  const [first = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  // "password: *word" is an unknown alias, "password: !word" an unknown tag.
  return `It is not a kubeconfig: ${first.replace(/"[^"]*"/g, '"..."').replace(/!<[^>]*>/g, '!<...>')}`;
}

function sourceOf(kubeconfig: string | null, { inCluster, hasDefaultKubeconfig }: Surroundings) {
  if (kubeconfig !== null) {
    const content = isKubeconfigContent(kubeconfig) ? kubeconfig : kubeconfigInBase64(kubeconfig);
    return content === null
      ? { name: 'path in the input', load: (config: KubeConfig) => config.loadFromFile(kubeconfig) }
      : { name: 'content of the input', load: (config: KubeConfig) => config.loadFromString(content) };
  }
  if (hasDefaultKubeconfig) {
    return { name: '$KUBECONFIG or ~/.kube/config', load: (config: KubeConfig) => config.loadFromDefault() };
  }
  if (inCluster) {
    return { name: "the pod's ServiceAccount", load: (config: KubeConfig) => config.loadFromCluster() };
  }
  throw new Problem({
    kind: 'connection',
    tried: 'Looking for the Kubernetes cluster',
    reason: 'The input kubeconfig is empty, there is no $KUBECONFIG or ~/.kube/config, and this runner is no pod.',
    next: 'Set the input kubeconfig to the content or the path of a kubeconfig.',
  });
}

function noSuchContext(config: KubeConfig): Problem {
  const known = config.getContexts().map(({ name }) => name);
  const wanted = config.getCurrentContext();
  return new Problem({
    kind: 'connection',
    tried: 'Reading the kubeconfig',
    reason: wanted ? `It has no context "${wanted}" with a known cluster.` : 'It names no current-context.',
    next:
      known.length > 0
        ? `Set the input context to one of: ${known.join(', ')}.`
        : 'The kubeconfig has no contexts at all.',
  });
}

function checkServer(server: string): void {
  if (URL.canParse(server) && /^https?:$/.test(new URL(server).protocol)) return;
  throw new Problem({
    kind: 'connection',
    tried: 'Reading the kubeconfig',
    reason: `Its server "${server}" is no URL.`,
    next: 'Correct the field server of the cluster: https://HOST:PORT.',
  });
}

/** Without its user client-node would leave out the cluster's CA as well, and the connection fail for a wrong reason. */
function checkUser(config: KubeConfig): void {
  if (config.getCurrentUser() !== null) return;
  const user = config.getContextObject(config.getCurrentContext())?.user ?? '';
  throw new Problem({
    kind: 'connection',
    tried: 'Reading the kubeconfig',
    reason: `Its context "${config.getCurrentContext()}" names the user "${user}", which it does not hold.`,
    next: 'Pass a whole kubeconfig: kubectl config view --minify --flatten --raw.',
  });
}

/** Concurrent requests share one run of an exec plugin. */
function credentialsOf(config: KubeConfig): () => Promise<Credentials> {
  let pending: Promise<Credentials> | undefined;
  return () => {
    pending ??= bounded(authenticate(config)).finally(() => {
      pending = undefined;
    });
    return pending;
  };
}

async function authenticate(config: KubeConfig): Promise<Credentials> {
  const options: https.RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    throw credentialsProblem(whyNoCredentials(error));
  }
  const { ca, cert, key, servername, rejectUnauthorized, auth, agent } = options;
  const headers = Object.fromEntries(
    Object.entries(options.headers ?? {}).map(([name, value]) => [name, String(value)]),
  );
  if (typeof auth === 'string') headers.Authorization = `Basic ${Buffer.from(auth).toString('base64')}`;
  const proxied = config.getCurrentCluster()?.proxyUrl !== undefined && typeof agent === 'object';
  return {
    headers,
    tls: { ca: pem(ca), cert: pem(cert), key: pem(key), servername, rejectUnauthorized },
    agent: proxied ? agent : undefined,
  };
}

/** What an exec plugin printed is quoted only when it failed: else it may be a token. */
function whyNoCredentials(error: unknown): string {
  if (error instanceof SyntaxError || error instanceof TypeError) return 'The exec plugin printed no ExecCredential';
  const words = error instanceof Error ? error.message.trim() : String(error);
  return words.slice(0, LONGEST_COMPLAINT) || 'The exec plugin failed without a word';
}

function pem(value: unknown): string | undefined {
  return typeof value === 'string' || Buffer.isBuffer(value) ? value.toString() : undefined;
}

async function bounded(credentials: Promise<Credentials>): Promise<Credentials> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(credentialsProblem(`The exec plugin gave none within ${CREDENTIALS_TIMEOUT / 1000} s`)),
      CREDENTIALS_TIMEOUT,
    );
  });
  return Promise.race([credentials, late]).finally(() => clearTimeout(timer));
}

function credentialsProblem(reason: string): Problem {
  return new Problem({
    kind: 'connection',
    tried: "Getting credentials by the kubeconfig's user",
    reason: `${reason}.`,
    next: 'Check that the files and the exec plugin that the kubeconfig names work on this runner.',
  });
}

import type https from 'node:https';
import { KubeConfig } from '@kubernetes/client-node';
import type { Credentials } from '../http/pool.ts';
import { isKubeconfigContent, kubeconfigInBase64 } from '../inputs/kubeconfig.ts';
import { kubeconfigSecrets } from '../inputs/secrets.ts';
import { Problem, wordsOf } from '../problem.ts';
import { redacted } from '../redact.ts';

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
  /** What $KUBECONFIG holds, '' when it is not set: client-node reads it by itself. */
  kubeconfigVariable: string;
  /** There is a ~/.kube/config. */
  hasHomeKubeconfig: boolean;
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
  const secrets = kubeconfigSecrets(config.exportConfig());
  return {
    server: cluster.server,
    context: config.getCurrentContext(),
    secrets,
    credentials: credentialsOf(config, secrets),
  };
}

/** Where a kubeconfig is read from. */
interface Source {
  /** For messages: "$KUBECONFIG". */
  name: string;
  load: (config: KubeConfig) => void;
  /** What it means that there is no such file. */
  absent: string;
  next: string;
}

function load(config: KubeConfig, kubeconfig: string | null, surroundings: Surroundings): void {
  const source = sourceOf(kubeconfig, surroundings);
  try {
    source.load(config);
  } catch (error) {
    throw new Problem({
      kind: 'connection',
      tried: `Reading the kubeconfig (${source.name})`,
      reason: `${whyUnreadable(error, source)}.`,
      next: source.next,
    });
  }
}

/** What else than its absence keeps a file from being read, by the code of the system. */
const UNREADABLE: { [code: string]: string } = {
  EISDIR: 'It is the path of a directory, not of a file',
  EACCES: 'Its file exists, but this job may not read it',
};

/** What reading the beginning of a kubeconfig ends with. */
const CUT_OFF = / is missing$|^unexpected end/;

/** Never quotes what was read: YAML errors go on with the text around the mistake, and a "path" may be a pasted token. */
function whyUnreadable(error: unknown, source: Source): string {
  if (typeof error === 'object' && error !== null && 'code' in error) {
    return `${UNREADABLE[String(error.code)] ?? source.absent} (${error.code})`;
  }
  // Of client-node, which looks for fields in what is no map.
  if (error instanceof TypeError) return 'It is not a kubeconfig: it, or an entry of its lists, is no YAML map';
  const [first = ''] = wordsOf(error).split('\n');
  // "password: *word" is an unknown alias, "password: !word" an unknown tag.
  const words = first.replace(/"[^"]*"/g, '"..."').replace(/!<[^>]*>/g, '!<...>');
  return `It is not a kubeconfig: ${words}${CUT_OFF.test(words) ? '; the text looks cut off' : ''}`;
}

function sourceOf(kubeconfig: string | null, surroundings: Surroundings): Source {
  const { inCluster, kubeconfigVariable, hasHomeKubeconfig } = surroundings;
  if (kubeconfig !== null) return inputSource(kubeconfig);
  if (kubeconfigVariable !== '' || hasHomeKubeconfig) return defaultSource(kubeconfigVariable);
  if (inCluster) {
    return {
      name: "the pod's ServiceAccount",
      load: (config) => config.loadFromCluster(),
      absent: "The pod's token cannot be read",
      next: 'Set the input kubeconfig to the content or the path of a kubeconfig.',
    };
  }
  throw new Problem({
    kind: 'connection',
    tried: 'Looking for the Kubernetes cluster',
    reason: 'The input kubeconfig is empty, there is no $KUBECONFIG or ~/.kube/config, and this runner is no pod.',
    next: 'Set the input kubeconfig to the content or the path of a kubeconfig.',
  });
}

function inputSource(kubeconfig: string): Source {
  const content = isKubeconfigContent(kubeconfig) ? kubeconfig : kubeconfigInBase64(kubeconfig);
  const asInput = {
    absent: 'It is neither the YAML of a kubeconfig, nor base64 of it, nor the path of a file that exists here',
    next: 'Pass the whole YAML text of a kubeconfig, or the path of such a file, as input kubeconfig.',
  };
  return content === null
    ? { ...asInput, name: 'path in the input', load: (config) => config.loadFromFile(kubeconfig) }
    : { ...asInput, name: 'content of the input', load: (config) => config.loadFromString(content) };
}

/** As client-node chooses: the files of $KUBECONFIG, else ~/.kube/config. `variable` is what $KUBECONFIG holds. */
function defaultSource(variable: string): Source {
  const load = (config: KubeConfig) => config.loadFromDefault();
  if (variable === '') {
    return {
      name: '~/.kube/config',
      load,
      absent: 'There is no such file',
      next: 'Correct that file, or set the input kubeconfig.',
    };
  }
  const named = isPath(variable) ? `$KUBECONFIG, ${variable}` : '$KUBECONFIG';
  return {
    name: named,
    load,
    absent: '$KUBECONFIG names a file that does not exist here',
    next: 'Let $KUBECONFIG be the path of a kubeconfig, unset it, or set the input kubeconfig, which takes content as well.',
  };
}

/** Whether a text is a path beyond doubt, and may be shown: a token or a pasted kubeconfig is none. */
function isPath(text: string): boolean {
  return /^([A-Za-z]:\\|[.~]{0,2}\/)[\w./\\ :;~-]{1,200}$/.test(text) && !isKubeconfigContent(text);
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
        : 'The kubeconfig has no contexts at all, it looks cut off: pass a whole one, as kubectl config view --raw prints.',
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
function credentialsOf(config: KubeConfig, secrets: string[]): () => Promise<Credentials> {
  let pending: Promise<Credentials> | undefined;
  return () => {
    pending ??= bounded(authenticate(config, secrets)).finally(() => {
      pending = undefined;
    });
    return pending;
  };
}

async function authenticate(config: KubeConfig, secrets: string[]): Promise<Credentials> {
  const options: https.RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    throw credentialsProblem(whyNoCredentials(error, secrets));
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

/** What an exec plugin printed is quoted only when it failed: else it may be a token. Secrets are cut before it is shortened. */
function whyNoCredentials(error: unknown, secrets: string[]): string {
  if (error instanceof SyntaxError || error instanceof TypeError) return 'The exec plugin printed no ExecCredential';
  const words = wordsOf(error).trim();
  return redacted(words, secrets).slice(0, LONGEST_COMPLAINT) || 'The exec plugin failed without a word';
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

import type { HttpResponse } from '../http/transport.ts';
import { digText, isJsonObject, type JsonObject } from '../json.ts';
import { Problem, type ProblemKind } from '../problem.ts';
import type { KubeObject } from './object.ts';

/** A field that another manager holds, as the API server tells it. */
export interface FieldConflict {
  manager: string;
  /** ".spec.replicas" */
  field: string;
}

/** Server-side apply was refused, as other managers hold fields with other values. */
export class ApplyConflict extends Error {
  readonly object: KubeObject;
  readonly conflicts: FieldConflict[];

  constructor(object: KubeObject, conflicts: FieldConflict[]) {
    super(
      `${object.kind} ${object.metadata.name}: ${conflicts.map(({ manager, field }) => `${manager} holds ${field}`).join(', ')}`,
    );
    this.name = 'ApplyConflict';
    this.object = object;
    this.conflicts = conflicts;
  }

  /** Whether nobody but these managers is in the way. */
  isOnlyWith(managers: string[]): boolean {
    return this.conflicts.every(({ manager }) => managers.includes(manager));
  }

  /** Null when the 409 is of another sort, such as a failed precondition. */
  static from(object: KubeObject, response: HttpResponse): ApplyConflict | null {
    const details = statusOf(response)?.details;
    const causes = isJsonObject(details) && Array.isArray(details.causes) ? details.causes.filter(isJsonObject) : [];
    const conflicts = causes
      .filter((cause) => cause.reason === 'FieldManagerConflict')
      .map((cause) => ({ manager: /"([^"]*)"/.exec(String(cause.message))?.[1] ?? '?', field: String(cause.field) }));
    return conflicts.length > 0 ? new ApplyConflict(object, conflicts) : null;
  }
}

/** The metav1.Status of an answer; null when something else than the API server answered. */
function statusOf(response: HttpResponse): JsonObject | null {
  try {
    const value = JSON.parse(response.body);
    return isJsonObject(value) && value.kind === 'Status' ? value : null;
  } catch {
    return null;
  }
}

const BY_STATUS: { [status: number]: { kind: ProblemKind; next: string } } = {
  400: {
    kind: 'target',
    next: 'The API server does not know what the message names: cert-manager before 1.16 and Kubernetes before 1.27 are too old.',
  },
  401: {
    kind: 'connection',
    next: 'The credentials of the kubeconfig are wrong or expired: fetch a fresh one just before this step.',
  },
  403: { kind: 'permission', next: 'Grant the permission that the message names to the identity of the kubeconfig.' },
  404: {
    kind: 'target',
    next: 'Check that the namespace exists and that the CustomResourceDefinitions are installed.',
  },
  405: {
    kind: 'target',
    next: 'The kubelet (enableDebuggingHandlers: false) or a proxy in front of the API server does not take this, as kubectl port-forward needs it too: have it do so.',
  },
  409: { kind: 'conflict', next: 'Something else changes this object at the same time: run again when it is done.' },
  422: {
    kind: 'target',
    next: 'The API server does not take this value: correct the input that the field comes from.',
  },
  429: { kind: 'target', next: 'The API server is overloaded: run again later.' },
};

/** Of an object that the cluster's own rules do not let in. */
export const ADMISSION: { kind: ProblemKind; next: string } = {
  kind: 'target',
  next: 'A rule of the cluster (a quota, Pod Security, a policy) refused the object: meet what the message names, for example by the input labels, or have the namespace exempted.',
};

/** RBAC says "cannot create resource"; every other 403 on an object is of an admission plugin or webhook. */
function isAdmissionRefusal(status: number, words: string): boolean {
  return status === 403 && /denied the request|exceeded quota|violates PodSecurity|must specify limits/.test(words);
}

/** An answer that is an error, in the API server's own words. */
export function statusProblem(tried: string, response: HttpResponse): Problem {
  const status = statusOf(response);
  const words = status === null ? response.body.slice(0, 300).trim() : digText(status, 'message');
  const { kind, next } = (isAdmissionRefusal(response.status, words) ? ADMISSION : BY_STATUS[response.status]) ?? {
    kind: 'target' satisfies ProblemKind,
    next: "Look at the API server's and the admission webhooks' logs; running again is safe.",
  };
  return new Problem({ kind, tried, reason: `HTTP ${response.status}: ${words || 'no message'}.`, next });
}

const BY_CODE: [pattern: RegExp, next: string][] = [
  [
    /ENOTFOUND|EAI_AGAIN/,
    "The server's name does not resolve here: check the kubeconfig's server and the runner's network.",
  ],
  [/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH/, "Nothing listens there: check the kubeconfig's server address and port."],
  [
    /^(ERR_SSL|EPROTO)/,
    "The TLS connection failed: check the kubeconfig's client certificate, and that its server speaks https on this port.",
  ],
  [
    /ERR_TLS_CERT_ALTNAME_INVALID/,
    "The server's certificate is made for other names: correct the kubeconfig's server or tls-server-name.",
  ],
  [
    /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/,
    "The kubeconfig's certificate-authority-data does not fit this server.",
  ],
  [/ERR_INVALID_CHAR/, "The kubeconfig's token holds a line break or another sign that no header may have."],
];

/** Advice for who starts Node by himself; a runner's user cannot follow it. */
const NODE_HINT = /; if the root CA is installed locally.*$/;

/** No answer arrived: the connection failed or broke. A Problem (say, of an exec plugin) stays as it is. */
export function connectionProblem(tried: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof Problem) return error;
  const code = 'code' in error ? String(error.code) : '';
  const next = BY_CODE.find(([pattern]) => pattern.test(code))?.[1];
  return new Problem({
    kind: 'connection',
    tried,
    reason: `${error.message.replace(NODE_HINT, '').trim() || code}.`,
    next: next ?? 'Check that the runner reaches the API server (network, VPN, firewall); running again is safe.',
  });
}

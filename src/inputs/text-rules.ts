import { X509Certificate } from 'node:crypto';
import { readCron } from './cron.ts';
import { isKubeconfigContent, kubeconfigInBase64 } from './kubeconfig.ts';
import { isDnsLabel, isDnsSubdomain } from './names.ts';
import type { Reading } from './spec.ts';

/** What a string input may be. */
export interface TextRule {
  /** A phrase that follows "must be". */
  says: string;
  /** The kind of text in a word or two, for the README's tables. */
  values: string;
  read: (text: string) => Reading<string>;
}

function rule(values: string, says: string, accepts: (text: string) => boolean): TextRule {
  return { says, values, read: (text) => (accepts(text) ? { value: text } : { refusal: `must be ${says}` }) };
}

export const namespaceName = rule(
  'name',
  'the name of a namespace: lower-case letters, digits and "-", at most 63 characters',
  isDnsLabel,
);

/**
 * A Service's name starts with a letter (RFC 1035). Pods carry the label controller-revision-hash, the StatefulSet's
 * name and eleven characters: within the 63 of a label's value that leaves 52. The servers' certificates carry the name
 * alone, too: those of a cluster admin-x would pass for the user admin-x of a cluster x at the same PKI mount.
 */
export const clusterName = rule(
  'name',
  'a name of lower-case letters, digits and "-", at most 52 characters, that starts with a letter and does not start ' +
    'with superuser-, admin- or reader-, as the names of its users do',
  (text) => text.length <= 52 && isDnsLabel(text) && /^(?!superuser-|admin-|reader-)[a-z]/.test(text),
);

export const objectName = rule(
  'name',
  'the name of a Kubernetes object: lower-case letters, digits, "-" and "."',
  isDnsSubdomain,
);

const VERSION = 'a version such as 2.10.26, three numbers with dots';

export const version: TextRule = {
  says: VERSION,
  values: 'version',
  read: (text) => {
    const [, prefix, numbers] = /^(v?)((?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2})$/i.exec(text) ?? [];
    if (numbers === undefined) return { refusal: `must be ${VERSION}` };
    return prefix === '' ? { value: numbers } : { refusal: `must be ${VERSION}: write ${numbers}` };
  },
};

const CRON_SCHEDULE = 'a cron schedule of five fields, such as 0 4 * * *';

/** A schedule that Kubernetes takes for a CronJob and that comes to pass; its fields a blank apart. */
export const cronSchedule: TextRule = {
  says: CRON_SCHEDULE,
  values: 'cron schedule',
  read: (text) => {
    const schedule = text.split(/\s+/).join(' ');
    const reading = readCron(schedule);
    return 'flaw' in reading ? { refusal: `must be ${CRON_SCHEDULE}: ${reading.flaw}` } : { value: schedule };
  },
};

const IMAGE_RULE = 'an image with its tag or digest, such as docker.io/library/nats:2.14.6-alpine';

const IMAGE_PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';

/** https://github.com/distribution/reference/blob/v0.6.0/reference.go */
const IMAGE = new RegExp(
  `^(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::\\d+)?/)?${IMAGE_PART}(?:/${IMAGE_PART})*` +
    '(?::(?<tag>\\w[\\w.-]{0,127}))?(?<digest>@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})?$',
);

/**
 * An image that stays what it is. `latest`, which is also what no tag means, is refused: a server that restarts would
 * come back as another version than its peers, unasked, and than nats_version says.
 */
export const image: TextRule = {
  says: IMAGE_RULE,
  values: 'image',
  read: (text) => {
    const parts = IMAGE.exec(text)?.groups;
    if (parts === undefined) return { refusal: `must be ${IMAGE_RULE}` };
    if (parts.digest !== undefined) return { value: text };
    if (parts.tag === undefined)
      return { refusal: `must be ${IMAGE_RULE}: untagged means latest, which changes with time` };
    if (parts.tag === 'latest') return { refusal: `must be ${IMAGE_RULE}: latest changes with time` };
    return { value: text };
  },
};

const REGISTRY_RULE = 'a registry with an optional path, such as 123456789012.dkr.ecr.us-east-2.amazonaws.com';

/** A registry's host, its port and a path below it. */
export const registry: TextRule = {
  says: REGISTRY_RULE,
  values: 'registry',
  read: (text) => {
    const bare = text.replace(/^https?:\/\//, '').replace(/\/+$/, '');
    if (!isRegistry(bare)) return { refusal: `must be ${REGISTRY_RULE}` };
    return bare === text ? { value: text } : { refusal: `must be ${REGISTRY_RULE}: write ${bare}` };
  },
};

function isRegistry(text: string): boolean {
  return new RegExp(`^[A-Za-z0-9][A-Za-z0-9.-]*(?::\\d{1,5})?(?:/${IMAGE_PART})*$`).test(text) && /[.:]/.test(text);
}

export const oneLine = rule('text', 'a single line', (text) => !/\p{Cc}/u.test(text));

/** A header, a query parameter or a login field: printable ASCII without spaces. */
export const oneWord = rule('text', 'one word without spaces', (text) => /^[\x21-\x7e]+$/.test(text));

/** https://github.com/hashicorp/vault/blob/v1.20.0/sdk/framework/path.go (GenericNameRegex) */
export const vaultName = rule('name', 'a name of letters, digits, "-", "_" and "."', (text) =>
  /^\w([\w.-]*\w)?$/.test(text),
);

const MOUNT_PATH = 'a path such as pki/internal: letters, digits, "-", "_" and "." between slashes';

/** A path that goes into URLs and policies of Vault: nothing that leaves its place in either. */
export const mountPath: TextRule = { says: MOUNT_PATH, values: 'path', read: readMountPath };

function readMountPath(text: string): Reading<string> {
  const path = text.replace(/^\//, '').replace(/\/$/, '');
  const safe = path.split('/').every((segment) => /^[\w.-]+$/.test(segment) && !/^\.+$/.test(segment));
  return safe ? { value: path } : { refusal: `must be ${MOUNT_PATH}` };
}

/** The mount path of an auth method: below auth/, which is not part of it. */
export const authPath: TextRule = {
  says: 'the path of an auth method without the auth/ in front, such as jwt',
  values: 'path',
  read: (text) => {
    const path = readMountPath(text);
    if (!('value' in path) || !path.value.startsWith('auth/')) return path;
    return { refusal: `must not start with auth/: write ${path.value.slice('auth/'.length)}` };
  },
};

const URL_RULE = 'an http:// or https:// address without a path, such as https://vault.example.com:8200';

/** The address of a server. Credentials, paths and queries have no place in it. */
export const serverUrl: TextRule = {
  says: URL_RULE,
  values: 'URL',
  read: (text) => {
    if (/^[a-z]+:\/\/[^/?#]*@/i.test(text)) return { refusal: 'must not contain a user name or password' };
    if (/^[\w.-]+(:\d+)?\/?$/.test(text)) return { refusal: `must be ${URL_RULE}: write http:// or https:// in front` };
    const origin = /^https?:\/\/[^/\\?#\s]+\/?$/i.test(text) ? URL.parse(text)?.origin : undefined;
    return origin ? { value: origin } : { refusal: `must be ${URL_RULE}` };
  },
};

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]*-----END \1-----/g;

export const pemCertificates = rule(
  'PEM',
  'one or more PEM certificates (-----BEGIN CERTIFICATE-----) and nothing else',
  (text) => text.replace(PEM_BLOCK, '').trim() === '' && (text.match(PEM_BLOCK) ?? []).every(isCertificate),
);

function isCertificate(pem: string): boolean {
  try {
    return pem.startsWith('-----BEGIN CERTIFICATE-----') && new X509Certificate(pem).subject !== null;
  } catch {
    return false;
  }
}

/** The path of a kubeconfig file, or its content, which CI secrets often hold in base64. */
export const kubeconfig: TextRule = {
  says: 'the content of a kubeconfig file, or the path of one',
  values: 'YAML or path',
  read: (text) => {
    if (isKubeconfigContent(text) || kubeconfigInBase64(text) !== null) return { value: text };
    if (text.length <= 4096 && !/\p{Cc}/u.test(text)) return { value: text };
    return { refusal: 'must be the content of a kubeconfig file (apiVersion, clusters, users), or the path of one' };
  },
};

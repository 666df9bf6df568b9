import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './process.ts';
import { apiServer, apiServiceAddress, hostAddress, type Node, nodes, paths } from './topology.ts';

interface CertificateRequest {
  name: string;
  /** In the form of openssl; Kubernetes reads O as group and CN as user. */
  subject: string;
  usage: 'clientAuth' | 'serverAuth' | 'clientAuth,serverAuth';
  /** In the form of openssl: "IP:10.90.0.1,DNS:localhost". */
  alternativeNames?: string;
  /** Vault has one of its own; the cluster's by default. */
  ca?: 'ca' | 'vault-ca';
}

const certificates: CertificateRequest[] = [
  {
    name: 'kube-apiserver',
    subject: '/CN=kube-apiserver',
    usage: 'serverAuth',
    alternativeNames: [
      `IP:${hostAddress},IP:${apiServiceAddress},DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc`,
      'DNS:kubernetes.default.svc.cluster.local',
    ].join(),
  },
  { name: 'admin', subject: '/O=system:masters/CN=admin', usage: 'clientAuth' },
  { name: 'kubelet-client', subject: '/O=system:masters/CN=kube-apiserver-kubelet-client', usage: 'clientAuth' },
  { name: 'dns', subject: '/O=system:masters/CN=dns', usage: 'clientAuth' },
  { name: 'kube-controller-manager', subject: '/CN=system:kube-controller-manager', usage: 'clientAuth' },
  { name: 'kube-scheduler', subject: '/CN=system:kube-scheduler', usage: 'clientAuth' },
  { name: 'kube-proxy', subject: '/CN=system:kube-proxy', usage: 'clientAuth' },
  {
    name: 'vault',
    subject: '/CN=vault-active',
    usage: 'serverAuth',
    alternativeNames: ['vault-active.vault', 'vault-active.vault.svc', 'vault-active.vault.svc.cluster.local']
      .map((name) => `DNS:${name}`)
      .join(),
    ca: 'vault-ca',
  },
  ...nodes.map(
    (node): CertificateRequest => ({
      name: node.name,
      subject: `/O=system:nodes/CN=system:node:${node.name}`,
      usage: 'clientAuth,serverAuth',
      alternativeNames: `DNS:${node.name},IP:${node.address}`,
    }),
  ),
];

export const certificateFile = (name: string): string => join(paths.pki, `${name}.crt`);
export const keyFile = (name: string): string => join(paths.pki, `${name}.key`);

/** Makes the CAs of the cluster and of Vault, their certificates (valid 30 days) and the key of the ServiceAccount tokens. */
export async function createPki(): Promise<void> {
  mkdirSync(paths.pki, { recursive: true, mode: 0o700 });
  await Promise.all([selfSign('ca', 'sandbox-ca'), selfSign('vault-ca', 'vault-ca')]);
  await Promise.all(certificates.map(sign));
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(keyFile('service-accounts'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(paths.pki, 'service-accounts.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
}

const keyOptions = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30'];

async function selfSign(name: string, commonName: string): Promise<void> {
  const files = ['-keyout', keyFile(name), '-out', certificateFile(name)];
  await run(['openssl', 'req', '-x509', ...keyOptions, ...files, '-subj', `/CN=${commonName}`]);
}

async function sign({ name, subject, usage, alternativeNames, ca = 'ca' }: CertificateRequest): Promise<void> {
  const extensions = [`extendedKeyUsage=${usage}`, 'basicConstraints=critical,CA:FALSE'];
  if (alternativeNames) extensions.push(`subjectAltName=${alternativeNames}`);
  const issuer = ['-CA', certificateFile(ca), '-CAkey', keyFile(ca)];
  const files = ['-keyout', keyFile(name), '-out', certificateFile(name), '-subj', subject];
  const addext = extensions.flatMap((extension) => ['-addext', extension]);
  await run(['openssl', 'req', '-x509', ...issuer, ...keyOptions, ...files, ...addext]);
}

/** A kubeconfig (JSON is YAML too) for the certificate of that name, everything in it. */
export function writeKubeconfig(certificate: string, file: string): void {
  const base64 = (path: string): string => readFileSync(path).toString('base64');
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'sandbox', cluster: { server: apiServer, 'certificate-authority-data': base64(certificateFile('ca')) } },
    ],
    users: [
      {
        name: certificate,
        user: {
          'client-certificate-data': base64(certificateFile(certificate)),
          'client-key-data': base64(keyFile(certificate)),
        },
      },
    ],
    contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: certificate } }],
    'current-context': 'sandbox',
  };
  writeFileSync(file, JSON.stringify(kubeconfig, undefined, 2), { mode: 0o600 });
}

/** What a node keeps of it: its own certificate and the CA's. */
export function copyNodePki(node: Node, directory: string): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'ca.crt'), readFileSync(certificateFile('ca')));
  writeFileSync(join(directory, 'node.crt'), readFileSync(certificateFile(node.name)));
  writeFileSync(join(directory, 'node.key'), readFileSync(keyFile(node.name)), { mode: 0o600 });
}

/** What is wrong with the simulated world: a test changes it at any time, controllers and servers look at it each time. */
export interface Behaviour {
  /** Images that cannot be pulled: a pod that wants one is stuck in ImagePullBackOff. */
  missingImages: Set<string>;
  /** Texts in nats.conf that servers refuse: none starts with one, and a reload leaves it with what it had. */
  refusedSettings: Set<string>;
  /** No node takes a new pod: pods stay Pending with the scheduler's message. */
  unschedulable: boolean;
  /** Names of Certificates that are refused, with the reason of the refusal. */
  refusedCertificates: Map<string, string>;
  /** SelfSubjectAccessReviews that are answered with allowed: false. */
  denied: (attributes: AccessAttributes) => boolean;
  vaultSealed: boolean;
  /** False: the API server's proxy finds no endpoint behind Vault's Service. */
  vaultEndpoints: boolean;
  /** What pods' /healthz says in place of ok: "JetStream stream 'A > B' is not current". */
  natsNotCurrent: Map<string, string>;
  /** Names of the streams that pods' servers store. */
  natsStreams: Map<string, string[]>;
  /** API levels of what streams use, by their names; none where it is missing. */
  natsApiLevels: Map<string, number>;
  /** Uids of pods whose server the meta leader does not take for a peer. */
  natsOutsiders: Set<string>;
  /** False: the NATS servers elect no meta leader. */
  natsMetaLeader: boolean;
}

export interface AccessAttributes {
  verb: string;
  group: string;
  resource: string;
  subresource: string;
  namespace: string;
  name: string;
}

export function healthyBehaviour(): Behaviour {
  return {
    missingImages: new Set(),
    refusedSettings: new Set(),
    unschedulable: false,
    refusedCertificates: new Map(),
    denied: () => false,
    vaultSealed: false,
    vaultEndpoints: true,
    natsNotCurrent: new Map(),
    natsStreams: new Map(),
    natsApiLevels: new Map(),
    natsOutsiders: new Set(),
    natsMetaLeader: true,
  };
}

/** What a server says of a nats.conf that it refuses; undefined where it takes it. */
export function refusalOf({ refusedSettings }: Behaviour, conf: string): string | undefined {
  const refused = [...refusedSettings].find((setting) => conf.includes(setting));
  return refused && `nats-server: /etc/nats/nats.conf: refused: ${refused}`;
}

/**
 * How this action names itself in the cluster and in Vault: as field manager, in labels and annotations, in marks.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
 */
export const MANAGER = 'kube-nats-action';

/**
 * The field managers of people at a terminal: kubectl names itself, or its command, in each of them. Where one of these
 * changed a field that this action holds, it is taken back; who applies on purpose gives himself another name. Flux does the
 * same: https://fluxcd.io/flux/components/kustomize/kustomizations/#controlling-the-apply-behavior-of-resources
 */
export const EDITS_BY_HAND = [
  'kubectl',
  ...['annotate', 'client-side-apply', 'create', 'edit', 'label', 'patch', 'replace', 'rollout', 'set'].map(
    (command) => `kubectl-${command}`,
  ),
];

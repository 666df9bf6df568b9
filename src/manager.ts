/**
 * How this action names itself in the cluster and in Vault: as field manager, in labels and annotations, in marks.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
 */
export const MANAGER = 'kube-nats-action';

import { Problem, type ProblemDetails } from '../problem.ts';

/**
 * Vault could not be asked. Gone: Kubernetes or Vault itself says that its Service, or the mount that was asked for, does
 * not exist; silent: it does not answer now, or is sealed, which may pass.
 */
export class VaultAbsent extends Problem {
  readonly absence: 'gone' | 'silent';

  constructor(details: ProblemDetails, absence: VaultAbsent['absence']) {
    super(details);
    this.absence = absence;
  }
}

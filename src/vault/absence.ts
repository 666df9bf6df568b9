import { Problem, type ProblemDetails } from '../problem.ts';

/**
 * Vault could not be asked. Gone: Kubernetes says that its Service does not exist; silent: it does not answer now, or is
 * sealed, which may pass; unmounted: Vault says that nothing is mounted where the path is.
 */
export class VaultAbsent extends Problem {
  readonly absence: 'gone' | 'silent' | 'unmounted';

  constructor(details: ProblemDetails, absence: VaultAbsent['absence']) {
    super(details);
    this.absence = absence;
  }
}

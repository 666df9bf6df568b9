import { describe, expect, test } from '@jest/globals';
import { isDefault, isInsistedOn } from '../../src/inputs/insisted.ts';
import { INPUT_NAMES } from '../../src/inputs/table.ts';
import { inputsWith } from './inputs-with.ts';

describe('what is insisted on', () => {
  test('is no default', () => {
    const inputs = inputsWith({ vault_role: null });
    expect(INPUT_NAMES.filter((name) => !isDefault(inputs, name))).toEqual(['namespace']);
    expect(INPUT_NAMES.filter((name) => isInsistedOn(inputs, name))).toEqual(['namespace']);
  });

  test('is every value other than the default', () => {
    const inputs = inputsWith({
      persistence_storage_class_name: 'gp3',
      vault_token_bound_cidrs: ['10.0.0.0/8'],
      labels: { team: 'a' },
    });
    expect(isInsistedOn(inputs, 'persistence_storage_class_name')).toBe(true);
    expect(isInsistedOn(inputs, 'vault_token_bound_cidrs')).toBe(true);
    expect(isInsistedOn(inputs, 'labels')).toBe(true);
    expect(isInsistedOn(inputs, 'vpa_enabled')).toBe(false);
  });

  test('is everything without adaptation', () => {
    const inputs = inputsWith({ adapt: false });
    expect(INPUT_NAMES.every((name) => isInsistedOn(inputs, name))).toBe(true);
    expect(isDefault(inputs, 'vpa_enabled')).toBe(true);
  });
});

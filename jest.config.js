export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/__tests__'],
  // More than the cores: the longest tests wait for a bound that they prove.
  maxWorkers: 4,
  // Runs of the bundle share two cores with each other: a test that hangs ends all the same.
  testTimeout: 60_000,
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
};

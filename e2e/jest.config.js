import base from '../jest.config.js';

export default {
  ...base,
  rootDir: '..',
  roots: ['<rootDir>/e2e'],
  // A cluster takes its time; single steps are bounded by waitFor.
  testTimeout: 300_000,
};

import base from '../jest.config.js';

export default {
  ...base,
  rootDir: '..',
  roots: ['<rootDir>/e2e'],
  // What a test tells comes at once, and what failed stands right below the name of its file.
  verbose: true,
  // A cluster takes its time; single steps are bounded by waitFor.
  testTimeout: 300_000,
};

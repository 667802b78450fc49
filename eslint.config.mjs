import { fileURLToPath } from 'node:url';
import tseslint from 'typescript-eslint';

/**
 * The import table of ARCHITECTURE.md: each room, and the other rooms it may import.
 * `telemetry` is for everybody; `call-manager` and `main` may import everything.
 */
const level0 = ['config', 'sip-message', 'sdp', 'process'];
const rooms = {
  config: ['process', 'sdp'],
  telemetry: [],
  'sip-message': ['process'],
  sdp: ['process'],
  process: [],
  'sip-server': level0,
  sip: level0,
  registration: level0,
  'media-resource': level0,
  'digit-analysis': [...level0, 'registration'],
  cluster: [...level0, 'registration'],
  'media-control': [...level0, 'media-resource'],
  line: [...level0, 'registration'],
  device: [...level0, 'sip', 'registration', 'line'],
  'call-control': [
    ...level0,
    'sip',
    'registration',
    'digit-analysis',
    'line',
    'device',
    'media-control',
    'media-resource',
  ],
  admin: level0,
  web: level0,
};
const everyRoom = [...Object.keys(rooms), 'call-manager'];

/** A vendor package is imported in one folder only (the schema validator: where untrusted data comes in). */
const vendors = {
  'drachtio-srf': ['sip/drachtio'],
  esl: ['media-resource/freeswitch'],
  'rtpengine-client': ['media-resource/rtpengine'],
  redis: ['cluster/redis'],
  fastify: ['admin'],
  pino: ['telemetry'],
  'prom-client': ['telemetry'],
  'sdp-transform': ['sdp'],
  ws: ['sip-server/transport'],
  yaml: ['config'],
  zod: ['config', 'call-control', 'cluster', 'line', 'media-resource', 'registration'],
};

/** `no-restricted-imports` for the files of one folder below `src`. */
function importRule(folder) {
  const room = folder.split('/')[0];
  const allowed = room in rooms ? [room, 'telemetry', ...rooms[room]] : everyRoom;
  return {
    'no-restricted-imports': [
      'error',
      {
        paths: Object.entries(vendors)
          .filter(([, folders]) => !folders.includes(folder))
          .map(([name, folders]) => ({ name, message: `only src/${folders.join(', src/')} may import ${name}` })),
        patterns: everyRoom
          .filter((other) => !allowed.includes(other))
          .map((other) => ({
            regex: `^(\\.\\./)+${other}(/|$)`,
            message: `${room} may not import ${other}: see the import table in ARCHITECTURE.md`,
          })),
      },
    ],
  };
}

const vendorFolders = [...new Set(Object.values(vendors).flat())].filter((folder) => folder.includes('/'));

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'var/**', 'coverage/**'] },
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: {
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: fileURLToPath(new URL('.', import.meta.url)) },
    },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      'no-console': 'error',
    },
  },
  ...[...everyRoom, ...vendorFolders].map((folder) => ({
    files: [`src/${folder}/**/*.ts`],
    rules: importRule(folder),
  })),
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
  { files: ['src/main.ts'], rules: { 'no-console': 'off' } },
);

'use strict';

/** Lets `node -r ./scripts/ts.js file.ts` run TypeScript (types are checked by `npm run typecheck`, not here). */

const { transformFileSync } = require('@swc/core');

const options = {
  jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
  module: { type: 'commonjs' },
  sourceMaps: 'inline',
};

require.extensions['.ts'] = (module, filename) => {
  module._compile(transformFileSync(filename, options).code, filename);
};

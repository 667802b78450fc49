'use strict';

const { spawn } = require('node:child_process');
const { join } = require('node:path');

/** Each caller has an address of its own, as a container has; the default SIP port is free on it. */
let callers = 0;

/** What follows `docker run`, as arguments of plain sipp. A named container answers calls at its address. */
function plainArguments(given) {
  const named = given.indexOf('--name');
  const own = given
    .slice(given.indexOf('sipp') + 1)
    .map((word) => word.replace('/tmp/scenarios', join(__dirname, 'scenarios')));
  callers += 1;
  const address = named < 0 ? `127.29.1.${callers}` : given[named + 1];
  return ['-i', address, '-p', '5060', '-mp', '20000', ...own];
}

/** In place of `spawn('docker', …)`. */
exports.spawn = (_docker, given, options) => spawn('sipp', plainArguments(given), options);

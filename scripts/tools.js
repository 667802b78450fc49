'use strict';

/** Small answers that the shell scripts need: `node scripts/tools.js COMMAND ...`. */

const dgram = require('node:dgram');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');

/** True when the port can be bound on that address. */
function canBind(protocol, address, port) {
  return new Promise((resolve) => {
    if (protocol === 'udp') {
      const socket = dgram.createSocket('udp4');
      socket.once('error', () => resolve(false));
      socket.bind(port, address, () => socket.close(() => resolve(true)));
    } else {
      const server = net.createServer();
      server.once('error', () => resolve(false));
      server.listen(port, address, () => server.close(() => resolve(true)));
    }
  });
}

/** `free-port PROTOCOL PREFERRED`: the first free port from there on. */
async function freePort(protocol, preferred) {
  for (let port = Number(preferred); port < 65536; port++) {
    if (await canBind(protocol, '127.0.0.1', port)) return String(port);
  }
  throw new Error(`no free ${protocol} port from ${preferred} on`);
}

/** `can-bind PROTOCOL:ADDRESS:PORT...`: fails, and names them, when some are taken. */
async function checkBind(...listeners) {
  const taken = [];
  for (const listener of listeners) {
    const [protocol, address, port] = listener.split(':');
    if (!(await canBind(protocol, address, Number(port)))) taken.push(listener);
  }
  if (taken.length > 0) throw new Error(`in use, or not an address of this machine: ${taken.join(', ')}`);
  return '';
}

/** `lan-address`: this machine's own address in the house. */
function lanAddress() {
  const all = Object.values(os.networkInterfaces()).flat();
  const found = all.find((entry) => entry.family === 'IPv4' && !entry.internal);
  if (found === undefined) throw new Error('this machine has no address beside 127.0.0.1: name one, --lan ADDRESS');
  return found.address;
}

/** `ng-ping PORT`: fails when no rtpengine answers within half a second. */
function ngPing(port) {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket('udp4');
    socket.on('message', () => socket.close(() => resolve('')));
    socket.on('error', reject);
    socket.send(`start-${process.pid} {"command":"ping"}`, Number(port), '127.0.0.1');
    setTimeout(() => reject(new Error('no answer')), 500).unref();
    setTimeout(() => process.exit(1), 600).unref();
  });
}

/** `redis-ping PORT`: fails when no Redis answers. */
function redisPing(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(500, () => socket.destroy(new Error('no answer')));
    socket.on('error', reject);
    socket.on('data', (data) => {
      socket.destroy();
      if (data.toString().startsWith('+PONG')) resolve('');
      else reject(new Error('not a Redis without password'));
    });
  });
}

/** `ready URL`: fails when the answer is not 200. */
async function ready(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
  if (response.status !== 200) throw new Error(`${url}: ${response.status}`);
  return '';
}

/**
 * `janus-config DIRECTORY PORT ADMIN-KEY FIRST-RTP-PORT LAST-RTP-PORT`: writes the configuration of a private janus that mixes and does
 * nothing else, on 127.0.0.1; start it with `janus -F DIRECTORY -C DIRECTORY/janus.jcfg -o`. Answers with the directory.
 */
function janusConfig(directory, port, adminKey, firstPort, lastPort) {
  const library = fs
    .readdirSync('/usr/lib')
    .map((folder) => `/usr/lib/${folder}/janus`)
    .find((folder) => fs.existsSync(`${folder}/plugins/libjanus_audiobridge.so`));
  if (library === undefined) throw new Error('janus has no AudioBridge here: apt-get install janus');
  const only = (kind, file) => {
    const folder = `${directory}/${kind}`;
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    if (file !== undefined) fs.symlinkSync(`${library}/${kind}/${file}`, `${folder}/${file}`);
    return `${kind}_folder = "${folder}"`;
  };
  const folders = [
    only('plugins', 'libjanus_audiobridge.so'),
    only('transports', 'libjanus_http.so'),
    only('events'),
    only('loggers'),
  ];
  const write = (name, ...lines) => fs.writeFileSync(`${directory}/${name}`, lines.join('\n') + '\n', { mode: 0o600 });
  write(
    'janus.jcfg',
    `general: { configs_folder = "${directory}"\n${folders.join('\n')}\ndebug_level = 4\nsession_timeout = 10 }`,
    'certificates: {}',
    'media: { ipv6 = false }',
    'nat: {}',
  );
  write(
    'janus.transport.http.jcfg',
    `general: { json = "compact"\nbase_path = "/janus"\nhttp = true\nport = ${port}\nip = "127.0.0.1"\nhttps = false }`,
    'admin: { admin_http = false\nadmin_https = false }',
  );
  write(
    'janus.plugin.audiobridge.jcfg',
    `general: { admin_key = "${adminKey}"\nlocal_ip = "127.0.0.1"\nrtp_port_range = "${firstPort}-${lastPort}"\nstring_ids = true\nevents = false }`,
  );
  return directory;
}

/** `janus-ping PORT`: fails when no janus answers. */
async function janusPing(port) {
  const response = await fetch(`http://127.0.0.1:${port}/janus/info`, { signal: AbortSignal.timeout(500) });
  if ((await response.json()).janus !== 'server_info') throw new Error('no janus');
  return '';
}

/** `sum CHECKS-FAILED FILE...`: the last line of the test run, from jest's reports; a missing report is one failure. */
function sum(failedChecks, ...files) {
  const total = { passed: 0, failed: Number(failedChecks), skipped: 0 };
  for (const file of files) {
    let report;
    try {
      report = JSON.parse(fs.readFileSync(file, 'utf8'));
    } catch {
      total.failed += 1;
      continue;
    }
    total.passed += report.numPassedTests;
    total.failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
    total.skipped += report.numPendingTests + report.numTodoTests;
  }
  return `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
}

const commands = {
  'free-port': freePort,
  'can-bind': checkBind,
  'lan-address': lanAddress,
  'ng-ping': ngPing,
  'janus-config': janusConfig,
  'janus-ping': janusPing,
  'redis-ping': redisPing,
  ready,
  sum,
};

Promise.resolve()
  .then(() => commands[process.argv[2]](...process.argv.slice(3)))
  .then((answer) => {
    if (answer !== '') process.stdout.write(`${answer}\n`);
    process.exit(0);
  })
  .catch((error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });

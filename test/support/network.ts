import { execFileSync } from 'node:child_process';
import type { Scope } from './scope';

/** Why networks cannot be made here; undefined: they can. Say it in the name of what is skipped. */
export function whyNoNetwork(): string | undefined {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  try {
    ip('netns', 'list');
    return undefined;
  } catch (error) {
    return `ip netns does not work here: ${String(error).slice(0, 200)}`;
  }
}

/** `describe` for tests that need a network of their own; where none can be made they are skipped, with the reason. */
export function describeWithNetwork(name: string, tests: () => void): void {
  const reason = whyNoNetwork();
  if (reason === undefined) describe(name, tests);
  else describe.skip(`${name} (skipped: ${reason})`, tests);
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** An Ethernet address that nobody has: what is sent to it is lost without a word. */
const NOBODY = '02:00:00:00:00:ff';
const INTERFACE = 'eth0';

let networks = 0;

/**
 * Hosts on one wire: each is a network namespace with an address of its own, named by our process number. We are on the wire too,
 * at `address`. What goes from one host to another can be lost, and a host can be unplugged. Needs root.
 */
export class Network {
  private readonly bridge: string;
  private readonly prefix: string;

  private constructor(private readonly hosts: number) {
    networks += 1;
    // Names of interfaces have 15 characters at most.
    this.bridge = `t${process.pid}n${networks}`;
    // 100.64.0.0/10 is nobody's (RFC 6598).
    this.prefix = `100.${64 + (process.pid % 64)}.${(process.pid >> 6) % 256}`;
    if (networks > 1)
      this.prefix = `100.${64 + ((process.pid + networks) % 64)}.${((process.pid >> 6) + networks) % 256}`;
  }

  /** Hosts with the numbers from 1. Everything is removed when the scope closes. */
  static make(scope: Scope, hosts: number): Network {
    const network = new Network(hosts);
    scope.defer(() => network.remove());
    ip('link', 'add', network.bridge, 'type', 'bridge');
    ip('addr', 'add', `${network.address}/24`, 'dev', network.bridge);
    ip('link', 'set', network.bridge, 'up');
    for (let host = 1; host <= hosts; host++) network.plug(host);
    return network;
  }

  /** Our own address. */
  get address(): string {
    return `${this.prefix}.254`;
  }

  addressOf(host: number): string {
    return `${this.prefix}.${host}`;
  }

  /** A command before another one, which then runs on the host. */
  on(host: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.name(host)];
  }

  /** From now on all that one host sends to the other is lost, in both directions. They notice nothing of it but silence. */
  cut(one: number, other: number): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const)
      this.within(from, 'neigh', 'replace', this.addressOf(to), 'lladdr', NOBODY, 'dev', INTERFACE, 'nud', 'permanent');
  }

  mend(one: number, other: number): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const)
      this.within(from, 'neigh', 'del', this.addressOf(to), 'dev', INTERFACE);
  }

  /** Takes the cable out: the host hears and reaches nobody, us neither. */
  unplug(host: number): void {
    ip('link', 'set', this.cable(host), 'down');
  }

  plugIn(host: number): void {
    ip('link', 'set', this.cable(host), 'up');
  }

  private plug(host: number): void {
    ip('netns', 'add', this.name(host));
    ip('link', 'add', this.cable(host), 'type', 'veth', 'peer', 'name', INTERFACE, 'netns', this.name(host));
    ip('link', 'set', this.cable(host), 'master', this.bridge, 'up');
    this.within(host, 'link', 'set', 'lo', 'up');
    this.within(host, 'addr', 'add', `${this.addressOf(host)}/24`, 'dev', INTERFACE);
    this.within(host, 'link', 'set', INTERFACE, 'up');
  }

  private within(host: number, ...args: readonly string[]): void {
    ip('-n', this.name(host), ...args);
  }

  private name(host: number): string {
    return `tandem-${this.bridge}-${host}`;
  }

  private cable(host: number): string {
    return `${this.bridge}h${host}`;
  }

  private remove(): void {
    for (let host = 1; host <= this.hosts; host++) quietly('netns', 'del', this.name(host));
    quietly('link', 'del', this.bridge);
  }
}

/** What was not made need not be removed. */
function quietly(...args: readonly string[]): void {
  try {
    ip(...args);
  } catch {
    return;
  }
}

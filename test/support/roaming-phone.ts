import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from './cluster';
import { domain, passwordOf, people, type PhoneName } from './cluster-config';
import type { SipPeer } from './sip-peer';
import { headerOf, methodOf, statusOf } from './sip-text';

export interface RoamingOptions {
  readonly name: PhoneName;
  readonly protocol: 'udp' | 'tcp';
  /** Node numbers, in the order in which it tries them. */
  readonly nodes: readonly number[];
  /** Between two REGISTERs, ms. */
  readonly refreshMs: number;
}

const LOOK_MS = 10;
const RETRY_MS = 100;

/**
 * A phone with an ordered list of servers: it refreshes its registration where it is, and goes to the next server when
 * it is turned away (503), to the one that it is told (305), and when its connection is closed. Answers OPTIONS with 405
 * and a call with 486.
 */
export class RoamingPhone {
  /** Final answers to its REGISTERs: `1 200`. */
  readonly answers: string[] = [];
  private peer: SipPeer | undefined;
  private seen = 0;
  private at = 0;
  private stopped = false;
  private readonly work: Promise<unknown>;

  private constructor(
    private readonly cluster: Cluster,
    private readonly options: RoamingOptions,
  ) {
    this.work = Promise.all([this.stayRegistered(), this.answerRequests()]);
    cluster.scope.defer(async () => {
      this.stopped = true;
      await this.work;
    });
  }

  static start(cluster: Cluster, options: RoamingOptions): RoamingPhone {
    return new RoamingPhone(cluster, options);
  }

  get callsSeen(): number {
    return this.peer?.requests('INVITE').length ?? 0;
  }

  private async stayRegistered(): Promise<void> {
    while (!this.stopped) {
      const node = this.options.nodes[this.at % this.options.nodes.length] ?? 1;
      const answer = await this.register(node).catch(() => '');
      const status = statusOf(answer);
      this.answers.push(`${node} ${status}`);
      if (status === 200) await this.untilRefresh();
      else {
        this.leave(answer);
        await pause(RETRY_MS);
      }
      if (this.peer?.isClosed === true) this.leave('');
    }
  }

  private async register(node: number): Promise<string> {
    const { name, protocol } = this.options;
    if (protocol === 'udp') {
      this.peer ??= await this.cluster.peer(node);
      this.peer.talkTo(this.cluster.node(node).place.sipPort);
    } else if (this.peer === undefined) {
      this.peer = await this.cluster.connection(node);
      this.seen = 0;
    }
    const contact = `${this.peer.contact(name)};+sip.instance="<urn:tandem-test:${name}>"`;
    const uri = `sip:${domain}`;
    const to = `<sip:${name}@${domain}>`;
    const request = { method: 'REGISTER', uri, from: to, to, contact, headers: ['Expires: 60'] };
    return this.peer.askWithDigest(request, name, passwordOf(name), 3000);
  }

  private async untilRefresh(): Promise<void> {
    const until = Date.now() + this.options.refreshMs;
    while (!this.stopped && Date.now() < until && this.peer?.isClosed !== true) await pause(LOOK_MS);
  }

  private leave(answer: string): void {
    this.at += 1;
    if (this.options.protocol === 'tcp') {
      this.peer?.close();
      this.peer = undefined;
    }
    if (statusOf(answer) !== 305) return;
    const told = /:(\d+)/.exec((headerOf(answer, 'Contact') ?? '').replace('sip:', ''))?.[1];
    const index = this.options.nodes.findIndex((node) => String(this.cluster.node(node).place.sipPort) === told);
    if (index >= 0) this.at = index;
  }

  private async answerRequests(): Promise<void> {
    while (!this.stopped) {
      const { peer } = this;
      const fresh = peer?.received.slice(this.seen) ?? [];
      this.seen += fresh.length;
      for (const message of fresh) {
        if (methodOf(message) === 'OPTIONS') peer?.answer(message, '405 Method Not Allowed');
        if (methodOf(message) === 'INVITE') peer?.answer(message, '486 Busy Here');
      }
      await pause(LOOK_MS);
    }
  }
}

/** The numbers of people, sorted. */
export function numbersOf(...names: readonly PhoneName[]): string[] {
  return names.map((name) => people[name].dn).sort();
}

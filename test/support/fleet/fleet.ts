import type { ClusterFile } from '../cluster-config';
import { siteOf } from '../cluster-config';
import type { Cluster } from '../cluster';
import type { Scope } from '../scope';
import { FleetPhone, type FleetNode } from './fleet-phone';
import { FleetSocket } from './fleet-socket';
import { FleetCounters } from './ledger';

export interface FleetOptions {
  readonly phones: number;
  /** Lifetime that the phones ask for, s; default 60. */
  readonly expires?: number;
  /** A node that says nothing for so long is given up, ms; default 4000. */
  readonly patienceMs?: number;
  /** Phones that share a UDP port; default 10. */
  readonly phonesOfSocket?: number;
  /** Number of the first phone, as given to `addFleet`; default 10000. */
  readonly firstNumber?: number;
}

const FIRST_NUMBER = 10_000;
const PASSWORD = 'password-of-the-fleet';

/** The configuration of the devices, for `change` of a cluster; a phone's home is the node of its index. */
export function addFleet(file: ClusterFile, phones: number, firstNumber = FIRST_NUMBER): void {
  for (let index = 0; index < phones; index++) {
    const dn = String(firstNumber + index);
    const site = siteOf((index % file.nodes.length) + 1);
    file.devices.push({ name: `fleet-${dn}`, username: dn, password: PASSWORD, lines: [dn], site });
  }
}

/** Many lean phones in this process. Each has its home node first in its list, and then the others in their order. */
export class Fleet {
  readonly counters = new FleetCounters();
  readonly phones: FleetPhone[] = [];

  private constructor(private readonly sockets: readonly FleetSocket[]) {}

  static async open(scope: Scope, cluster: Cluster, options: FleetOptions): Promise<Fleet> {
    const { phones, expires = 60, patienceMs = 4000, phonesOfSocket = 10, firstNumber = FIRST_NUMBER } = options;
    const sockets: FleetSocket[] = [];
    const fleet = new Fleet(sockets);
    scope.defer(() => fleet.close());
    const nodes = cluster.nodes.map((node): FleetNode => ({ id: node.id, port: node.place.sipPort }));
    for (let index = 0; index < phones; index++) {
      const place = Math.floor(index / phonesOfSocket);
      const socket = sockets[place] ?? (await FleetSocket.open());
      sockets[place] = socket;
      const home = index % nodes.length;
      const list = [...nodes.slice(home), ...nodes.slice(0, home)];
      const { counters } = fleet;
      const dn = String(firstNumber + index);
      fleet.phones.push(new FleetPhone({ dn, password: PASSWORD, nodes: list, socket, counters, expires, patienceMs }));
    }
    return fleet;
  }

  phone(index: number): FleetPhone {
    const phone = this.phones[index];
    if (phone === undefined) throw new Error(`the fleet has no phone ${index}`);
    return phone;
  }

  /** Does something with each phone, so many a second; resolves when all of it is done. */
  async each(act: (phone: FleetPhone) => Promise<void>, perSecond: number, phones = this.phones): Promise<void> {
    const STEP_MS = 20;
    const running: Promise<void>[] = [];
    const started = Date.now();
    while (running.length < phones.length) {
      const due = Math.min(phones.length, Math.ceil(((Date.now() - started + STEP_MS) / 1000) * perSecond));
      for (const phone of phones.slice(running.length, due)) running.push(act(phone));
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
    await Promise.all(running);
  }

  close(): void {
    for (const phone of this.phones) phone.close();
    for (const socket of this.sockets) socket.close();
  }
}

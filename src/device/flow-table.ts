import type { SipSource } from '../sip/user-agent';
import { formatAddress } from './outgoing';
import type { Station } from './station';

/** Stations by the connection that they registered over; several may share one. */
export class FlowTable {
  private readonly stations = new Map<string, Set<Station>>();
  private readonly places = new Map<Station, string>();
  /** The address at the other end of each connection-bound station, and how many have it. */
  private readonly addresses = new Map<Station, string>();
  private readonly counts = new Map<string, number>();

  /** Where a station is now; one that is not bound to a connection is forgotten. */
  set(station: Station): void {
    this.delete(station);
    if (!station.connectionBound) return;
    const address = formatAddress(station.registration.source);
    this.addresses.set(station, address);
    this.counts.set(address, (this.counts.get(address) ?? 0) + 1);
    const { flow } = station.registration.source;
    if (flow === undefined) return;
    this.places.set(station, flow);
    const there = this.stations.get(flow);
    if (there === undefined) this.stations.set(flow, new Set([station]));
    else there.add(station);
  }

  delete(station: Station): void {
    const address = this.addresses.get(station);
    if (address !== undefined) {
      const left = (this.counts.get(address) ?? 1) - 1;
      if (left === 0) this.counts.delete(address);
      else this.counts.set(address, left);
      this.addresses.delete(station);
    }
    const flow = this.places.get(station);
    if (flow === undefined) return;
    this.places.delete(station);
    const there = this.stations.get(flow);
    there?.delete(station);
    if (there?.size === 0) this.stations.delete(flow);
  }

  /** Whether a station has registered over a connection from there. */
  hasConnectionFrom(source: SipSource): boolean {
    return this.counts.has(formatAddress(source));
  }

  at(flow: string): readonly Station[] {
    return [...(this.stations.get(flow) ?? [])];
  }

  flows(): readonly string[] {
    return [...this.stations.keys()];
  }
}

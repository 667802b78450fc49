import type { SipSource } from '../sip/user-agent';
import { formatAddress } from './outgoing';
import type { Station } from './station';

/** Stations by the connection that they registered over; several may share one. */
export class FlowTable {
  private readonly stations = new Map<string, Set<Station>>();
  private readonly places = new Map<Station, string>();

  /** Where a station is now; one that is not bound to a connection is forgotten. */
  set(station: Station): void {
    this.delete(station);
    if (!station.connectionBound) return;
    const place = formatAddress(station.registration.source);
    this.places.set(station, place);
    const there = this.stations.get(place);
    if (there === undefined) this.stations.set(place, new Set([station]));
    else there.add(station);
  }

  delete(station: Station): void {
    const place = this.places.get(station);
    if (place === undefined) return;
    this.places.delete(station);
    const there = this.stations.get(place);
    there?.delete(station);
    if (there?.size === 0) this.stations.delete(place);
  }

  at(flow: SipSource): readonly Station[] {
    return [...(this.stations.get(formatAddress(flow)) ?? [])];
  }

  /** A source for each connection. */
  flows(): readonly SipSource[] {
    return [...this.stations.values()].flatMap(([first]) => (first === undefined ? [] : [first.registration.source]));
  }
}

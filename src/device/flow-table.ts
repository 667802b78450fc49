import type { Station } from './station';

/** Stations by the connection that they registered over; several may share one. */
export class FlowTable {
  private readonly stations = new Map<string, Set<Station>>();
  private readonly places = new Map<Station, string>();

  /** Where a station is now; one that is not bound to a connection is forgotten. */
  set(station: Station): void {
    this.delete(station);
    const { flow } = station.registration.source;
    if (flow === undefined || !station.connectionBound) return;
    this.places.set(station, flow);
    const there = this.stations.get(flow);
    if (there === undefined) this.stations.set(flow, new Set([station]));
    else there.add(station);
  }

  delete(station: Station): void {
    const flow = this.places.get(station);
    if (flow === undefined) return;
    this.places.delete(station);
    const there = this.stations.get(flow);
    there?.delete(station);
    if (there?.size === 0) this.stations.delete(flow);
  }

  at(flow: string): readonly Station[] {
    return [...(this.stations.get(flow) ?? [])];
  }

  flows(): readonly string[] {
    return [...this.stations.keys()];
  }
}

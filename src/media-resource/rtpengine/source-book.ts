/** Held parties of one music that have players of their own before the next ones share one: for fewer a source costs what it saves. */
export const OWN_PLAYERS = 3;
/** What rtpengine says of a source must fit in a datagram, and one of its threads serves all its seats. */
export const MOST_SEATS = 500;
/** A source that fails sooner than this is not replaced, and none is made of that music for so long. */
export const SHUT_MS = 30_000;

/** How a held party gets its music. */
export type Place =
  | { readonly type: 'own' }
  /** `found`: this party is the first, and the source is to be made. */
  | { readonly type: 'seat'; readonly source: string; readonly seat: number; readonly found: boolean };

/** Where a party sat. `last`: nobody is left, and the source is forgotten. */
export interface Vacancy {
  readonly source: string;
  readonly seat: number;
  readonly last: boolean;
}

interface Source {
  readonly music: string;
  readonly since: number;
  /** Who sits where. Undefined: who sat there has left, and rtpengine may not know it yet; nobody else is put there. */
  readonly seats: Map<number, string | undefined>;
}

const OWN: Place = { type: 'own' };

/** A source is named after the session that it is made for, so that an audit knows whose it is. */
export function isSourceName(session: string): boolean {
  return /-\d+-music\d+$/.test(session);
}

function freeSeat(source: Source): number | undefined {
  for (let seat = 1; seat <= MOST_SEATS; seat++) if (!source.seats.has(seat)) return seat;
  return undefined;
}

/**
 * Which held parties have players of their own, and which share what source. A music is a text that tells all that its packets depend
 * on: file, codec, payload type. The book says what is to be done and does nothing; times are in ms.
 */
export class SourceBook {
  private readonly sources = new Map<string, Source>();
  private readonly seated = new Map<string, { readonly source: string; readonly seat: number }>();
  /** Parties with players of their own, and their music. */
  private readonly own = new Map<string, string | undefined>();
  private readonly shutUntil = new Map<string, number>();
  private founded = 0;

  /** `sharing` false: everybody has a player of its own. */
  constructor(private readonly sharing: boolean) {}

  /** For a party without a seat. Who has a player of its own keeps it. Music undefined: it cannot be shared. */
  place(party: string, music: string | undefined, now: number): Place {
    if (!this.sharing || music === undefined || this.own.has(party)) return this.alone(party, music);
    for (const [name, source] of this.sources) {
      const seat = source.music === music ? freeSeat(source) : undefined;
      if (seat !== undefined) return this.sit(party, name, source, seat, false);
    }
    const others = [...this.own.values()].filter((one) => one === music).length;
    if (others < OWN_PLAYERS || this.isShut(music, now)) return this.alone(party, music);
    const name = `${party}-music${++this.founded}`;
    const source: Source = { music, since: now, seats: new Map() };
    this.sources.set(name, source);
    return this.sit(party, name, source, 1, true);
  }

  /** From now on the party has a player of its own. */
  alone(party: string, music: string | undefined): Place {
    this.own.set(party, music);
    return OWN;
  }

  isAlone(party: string): boolean {
    return this.own.has(party);
  }

  seatOf(party: string): { readonly source: string; readonly seat: number; readonly music: string } | undefined {
    const at = this.seated.get(party);
    const source = at === undefined ? undefined : this.sources.get(at.source);
    return at === undefined || source === undefined ? undefined : { ...at, music: source.music };
  }

  /** The party goes. Undefined: it had no seat. The seat is kept for nobody until `cleared`. */
  leave(party: string): Vacancy | undefined {
    this.own.delete(party);
    const at = this.seated.get(party);
    const source = at === undefined ? undefined : this.sources.get(at.source);
    if (at === undefined || source === undefined) return undefined;
    this.seated.delete(party);
    source.seats.set(at.seat, undefined);
    const last = [...source.seats.values()].every((who) => who === undefined);
    if (last) this.sources.delete(at.source);
    return { ...at, last };
  }

  /** rtpengine has nothing at this seat any more. One where somebody sits stays. */
  cleared(name: string, seat: number): void {
    const seats = this.sources.get(name)?.seats;
    if (seats !== undefined && seats.get(seat) === undefined) seats.delete(seat);
  }

  /** The source plays no more, and is forgotten. Returns those who sat there: each is to be placed anew. */
  fail(name: string, now: number): readonly string[] {
    const source = this.sources.get(name);
    if (source === undefined) return [];
    this.sources.delete(name);
    if (now - source.since < SHUT_MS) this.shutUntil.set(source.music, now + SHUT_MS);
    const parties = [...source.seats.values()].filter((party) => party !== undefined);
    for (const party of parties) this.seated.delete(party);
    return parties;
  }

  /** Names of all sources. */
  names(): readonly string[] {
    return [...this.sources.keys()];
  }

  /** Seats of a source; undefined: who sat there has left. */
  seats(name: string): ReadonlyMap<number, string | undefined> {
    return new Map(this.sources.get(name)?.seats);
  }

  private sit(party: string, name: string, source: Source, seat: number, found: boolean): Place {
    source.seats.set(seat, party);
    this.seated.set(party, { source: name, seat });
    return { type: 'seat', source: name, seat, found };
  }

  private isShut(music: string, now: number): boolean {
    for (const [one, until] of this.shutUntil) if (until <= now) this.shutUntil.delete(one);
    return this.shutUntil.has(music);
  }
}

import { type AudioCodec, audioOnly, codecText, holds } from '../../sdp';
import type { Clock } from '../../process/clock';
import { EngineError, type SessionList } from '../ports';
import type { Commands } from './commands';
import { answerPlayer, blockAll, blockDevice, endSession, offerPlayer, play } from './player';
import { type MediaAddress, musicCodecs, paperDescription, sharedCodec } from './player-description';
import { type Place, SourceBook } from './source-book';
import { addressIn, askForSeat, clearSeat, isUnknownCall, lookAtSource, openSource, takeSeat } from './source-session';

/** Looks in a row, each a second after the other, at which a source has had nothing from its player. */
const SILENT_LOOKS = 2;

export interface MusicSessionsOptions {
  readonly commands: Commands;
  readonly clock: Clock;
  /** False: every held party has a player of its own. */
  readonly sharing: boolean;
  /** A source failed. Its listeners have other players, or are lost. */
  readonly onSourceFailure: (what: string) => void;
  /** The session has no music any more, and has been ended. */
  readonly onLost: (session: string) => void;
}

/** What a device is to hear. */
interface Music {
  readonly file: string;
  /** Undefined: it needs packets that are made for it alone. */
  readonly codec: AudioCodec | undefined;
  /** Where the session takes RTP that goes to the device. */
  readonly ear: MediaAddress;
  /** The device's last answer. */
  readonly answer: string;
}

interface Held {
  /** What the device had said of itself when it was offered this. */
  peer: string | undefined;
  offered: readonly AudioCodec[];
  /** Undefined: the device does not listen. */
  music: Music | undefined;
  /** Where its seat at a source sends to. */
  fed: MediaAddress | undefined;
  /** Where its seat sends from: nobody else is heard in the player's stead. */
  feeder: MediaAddress | undefined;
}

interface Opened {
  readonly codec: AudioCodec;
  /** Whether it could be opened. */
  readonly plays: Promise<boolean>;
}

/** All that the packets of a music depend on. */
function keyOf({ file, codec }: Music): string | undefined {
  return codec === undefined ? undefined : `${codec.payload} ${codecText(codec)} ${file}`;
}

function isSamePlace(a: MediaAddress | undefined, b: MediaAddress): boolean {
  return a?.address === b.address && a.port === b.port;
}

/**
 * The sessions of held devices. Each has two sides, the device and a player on paper. Either rtpengine plays to the device in this session, or
 * what a source plays is sent to the player's side, from where the session relays it, with the transport and the keys of the device. So a device
 * goes from one to the other without being told, and the end of a source ends no session.
 */
export class MusicSessions {
  private readonly book: SourceBook;
  private readonly held = new Map<string, Held>();
  private readonly opened = new Map<string, Opened>();
  private readonly looks = new Map<string, { readonly packets: number; readonly silent: number }>();
  /** The last piece of work for each session: they are done one after another. */
  private readonly turns = new Map<string, Promise<unknown>>();
  private inspecting = false;

  constructor(private readonly options: MusicSessionsOptions) {
    this.book = new SourceBook(options.sharing);
  }

  knows(session: string): boolean {
    return this.held.has(session);
  }

  /** Names of the sessions that are sources, in use. */
  sources(): readonly string[] {
    return this.book.names();
  }

  offer(session: string, peer: string | undefined): Promise<string> {
    return this.inTurn(session, async () => {
      const offered = musicCodecs(peer);
      const known = this.held.get(session);
      if (known === undefined)
        this.held.set(session, { peer, offered, music: undefined, fed: undefined, feeder: undefined });
      else Object.assign(known, { peer, offered });
      const player = paperDescription(offered, 'sendonly', known?.feeder);
      return offerPlayer(this.options.commands, session, player, peer);
    });
  }

  connect(session: string, file: string, answer: string): Promise<void> {
    return this.inTurn(session, async () => {
      const sdp = audioOnly(answer);
      if (sdp === undefined) throw new EngineError('bad-request', 'the answer has no audio');
      const ear = addressIn(await answerPlayer(this.options.commands, session, sdp));
      const held = this.held.get(session);
      if (held === undefined) throw new EngineError('error', 'an answer to no offer');
      // A device that does not listen (it holds as well) has no music, and nothing is wrong with that.
      held.music = holds(sdp) ? undefined : { file, codec: sharedCodec(held.offered, sdp), ear, answer: sdp };
      await this.settle(session, held);
    });
  }

  /** Ends the session. What feeds it is ended first, since somebody else may be given its ports. */
  end(session: string): Promise<void> {
    return this.inTurn(session, async () => {
      this.held.delete(session);
      await this.vacate(session);
      await endSession(this.options.commands, session);
    });
  }

  /** Asks for a list of all sessions; those that rtpengine does not have any more need no source. */
  async compare(ask: () => Promise<SessionList>): Promise<SessionList> {
    const before = [...this.held].filter(([, { music }]) => music !== undefined);
    const list = await ask();
    const present = new Set(list.ids);
    const missing = list.complete ? before.filter(([session]) => !present.has(session)) : [];
    await Promise.all(missing.map(([session, held]) => this.forget(session, held)));
    return list;
  }

  /** Asks whether rtpengine has the session. One that it does not have any more needs no source. */
  async compareOne(session: string, ask: () => Promise<boolean>): Promise<boolean> {
    const held = this.held.get(session);
    const present = await ask();
    if (!present && held?.music !== undefined) await this.forget(session, held);
    return present;
  }

  private forget(session: string, held: Held): Promise<void> {
    return this.inTurn(session, async () => {
      // One that failed may have been made anew under the same name.
      if (this.held.get(session) !== held) return;
      this.held.delete(session);
      await this.vacate(session);
    });
  }

  /** Looks whether every source plays, to all who sit there, and to nobody else. To be called about every second. Never rejects. */
  async inspect(): Promise<void> {
    if (this.inspecting) return;
    this.inspecting = true;
    for (const source of this.book.names()) await this.inspectOne(source).catch(() => undefined);
    this.inspecting = false;
  }

  private async inspectOne(source: string): Promise<void> {
    if ((await this.opened.get(source)?.plays) !== true) return;
    const before = this.book.seats(source);
    const look = await lookAtSource(this.options.commands, source);
    if (look === undefined) return this.fail(source, 'it is gone');
    const last = this.looks.get(source);
    const silent = last?.packets === look.packets ? last.silent + 1 : 0;
    this.looks.set(source, { packets: look.packets, silent });
    if (silent >= SILENT_LOOKS) return this.fail(source, 'its player has ended');
    const now = this.book.seats(source);
    for (const [seat, party] of before) {
      if (!now.has(seat) || now.get(seat) !== party) continue;
      const served = look.seats.has(seat);
      // A seat that was left, and where nobody is served although it could not be cleared, is never given to anybody.
      if (party === undefined && served) await this.clear(source, seat);
      else if (party !== undefined && !served) await this.reseat(party, source);
    }
  }

  /** The party has a seat at which rtpengine serves nobody. */
  private reseat(party: string, source: string): Promise<void> {
    return this.inTurn(party, async () => {
      // Whoever came while we looked was not served yet.
      if (this.book.seatOf(party)?.source !== source || this.held.get(party)?.fed === undefined) return;
      await this.vacate(party);
      await this.settleOrLose(party);
    });
  }

  private async clear(source: string, seat: number): Promise<void> {
    const codec = this.opened.get(source)?.codec;
    if (codec === undefined) return;
    await clearSeat(this.options.commands, source, seat, codec);
    this.book.cleared(source, seat);
  }

  /** Gives the device the music that it is to hear now. */
  private async settle(session: string, held: Held): Promise<void> {
    const { commands } = this.options;
    const { music } = held;
    const at = this.book.seatOf(session);
    const stays = at !== undefined && music !== undefined && at.music === keyOf(music);
    if (stays && isSamePlace(held.fed, music.ear)) return;
    if (at !== undefined && !stays) {
      held.fed = undefined;
      await this.vacate(session);
    }
    if (music === undefined) return blockDevice(commands, session);
    const place: Place = stays
      ? { type: 'seat', ...at, found: false }
      : this.book.place(session, keyOf(music), this.options.clock.now());
    if (place.type === 'seat' && (await this.sit(session, place, held, music))) return;
    this.book.alone(session, keyOf(music));
    await Promise.all([blockAll(commands, session), play(commands, session, music.file)]);
  }

  /** False: there will be no music from this seat. */
  private async sit(
    session: string,
    { source, seat, found }: Extract<Place, { type: 'seat' }>,
    held: Held,
    { file, codec, ear, answer }: Music,
  ): Promise<boolean> {
    const { commands } = this.options;
    if (codec === undefined) return false;
    if (found) this.opened.set(source, { codec, plays: this.open(source, file, codec) });
    try {
      if ((await this.opened.get(source)?.plays) !== true) return false;
      const feeder = await askForSeat(commands, source, seat);
      if (!isSamePlace(held.feeder, feeder)) {
        await offerPlayer(commands, session, paperDescription(held.offered, 'sendonly', feeder), held.peer);
        await answerPlayer(commands, session, answer);
        held.feeder = feeder;
      }
      await Promise.all([blockDevice(commands, session), takeSeat(commands, source, seat, codec, ear)]);
      held.fed = ear;
    } catch (error) {
      if (isUnknownCall(error)) this.fail(source, 'it is gone');
      else this.options.onSourceFailure(`${source} does not serve ${session}: ${String(error)}`);
      await this.vacate(session);
      return false;
    }
    // While it sat down the source may have failed.
    return this.book.seatOf(session)?.source === source;
  }

  private async open(source: string, file: string, codec: AudioCodec): Promise<boolean> {
    try {
      await openSource(this.options.commands, source, file, codec);
      return true;
    } catch (error) {
      this.fail(source, `it cannot be made: ${String(error)}`);
      return false;
    }
  }

  /** Its listeners are placed anew, one after another, in the background. */
  private fail(source: string, why: string): void {
    if (!this.book.names().includes(source)) return;
    const parties = this.book.fail(source, this.options.clock.now());
    this.opened.delete(source);
    this.looks.delete(source);
    this.options.onSourceFailure(`${source} with ${parties.length} listeners: ${why}`);
    void this.placeAnew(source, parties);
  }

  private async placeAnew(source: string, parties: readonly string[]): Promise<void> {
    await endSession(this.options.commands, source).catch(() => undefined);
    for (const party of parties) await this.inTurn(party, () => this.settleOrLose(party));
  }

  /** Never rejects: a session that cannot be given its music is ended, and its holder told. */
  private async settleOrLose(session: string): Promise<void> {
    const held = this.held.get(session);
    // It has been given back, or has music from elsewhere by now.
    if (held?.music === undefined || this.book.seatOf(session) !== undefined || this.book.isAlone(session)) return;
    held.fed = undefined;
    try {
      await this.settle(session, held);
    } catch {
      this.held.delete(session);
      await this.vacate(session);
      await endSession(this.options.commands, session).catch(() => undefined);
      this.options.onLost(session);
    }
  }

  /** Never rejects: what is left of a seat is seen at the next look, and what is left of a source by the next audit. */
  private async vacate(session: string): Promise<void> {
    const { commands } = this.options;
    const left = this.book.leave(session);
    if (left === undefined) return;
    const { source, seat, last } = left;
    try {
      if (last) {
        this.opened.delete(source);
        this.looks.delete(source);
        await endSession(commands, source);
      } else {
        await this.clear(source, seat);
      }
    } catch {
      return;
    }
  }

  private inTurn<Value>(session: string, work: () => Promise<Value>): Promise<Value> {
    const result = (this.turns.get(session) ?? Promise.resolve()).then(work);
    const done: Promise<unknown> = result
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        if (this.turns.get(session) === done) this.turns.delete(session);
      });
    this.turns.set(session, done);
    return result;
  }
}

import { systemClock, type Clock } from '../../process/clock';
import { EngineError, type MediaEngine, type SipCaller } from '../ports';
import { createEventSocket } from './event-socket';
import { Members } from './members';
import { FreeswitchMixer } from './mixer';
import { readRoster, type Roster } from './roster';

export interface FreeswitchOptions {
  readonly name: string;
  /** Where it takes calls. */
  readonly sip: { readonly transport: 'udp' | 'tcp'; readonly address: string; readonly port: number };
  readonly eventSocket: { readonly address: string; readonly port: number; readonly password: string };
  readonly caller: SipCaller;
  /** Begins the names of our conferences; the same after each start of this node, and no other node's. */
  readonly owner: string;
  /** Our own IP address, for descriptions. */
  readonly localAddress: string;
  readonly clock?: Clock;
  readonly onTrouble?: (what: string) => void;
}

const OPTIONS_MS = 700;
/** A ping waits this long for a connection that is being made. */
const CONNECT_MS = 500;

function notItsOffice(): Promise<never> {
  return Promise.reject(new EngineError('unsupported', 'FreeSWITCH plays no music on hold here'));
}

function notConnected(): EngineError {
  return new EngineError('down', 'the event socket of FreeSWITCH is not connected');
}

function hostport(address: string, port: number): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}

/**
 * FreeSWITCH as a conference bridge: participants are calls by SIP, events and control go over its event socket. It is up while both
 * answer. A session is a participant: there while our call is, and its channel in the conference.
 */
export function createFreeswitch(options: FreeswitchOptions): MediaEngine {
  const { name, sip, eventSocket, caller, owner, localAddress, clock = systemClock, onTrouble } = options;
  const members = new Members(clock);
  const at = hostport(sip.address, sip.port);
  const lostListeners = new Set<(session: string) => void>();
  /** Identity of the running FreeSWITCH; another one after each of its starts. */
  let core: string | undefined;
  let full = false;

  const listed = async (): Promise<Roster> => {
    const roster = readRoster(await socket.api('conference json_list'));
    if (roster === undefined) throw new EngineError('error', 'FreeSWITCH sent no list of its conferences');
    return roster;
  };

  const socket = createEventSocket({
    ...eventSocket,
    clock,
    events: 'CUSTOM conference::maintenance',
    onEvent: (event) => members.take(event),
    async onConnected() {
      const now = (await socket.api('global_getvar core_uuid')).trim();
      if (core !== undefined && core !== now) mixer.forgetAll();
      core = now;
      members.begin(await listed());
    },
    onTrouble(what) {
      members.lost();
      onTrouble?.(what);
    },
  });

  const mixer = new FreeswitchMixer({
    caller,
    socket,
    members,
    sip: at,
    transport: sip.transport,
    owner,
    address: localAddress,
    onLost: (session) => {
      for (const listener of lostListeners) listener(session);
    },
  });

  const uptimeMs = async (): Promise<number> => {
    const uptime = Number((await socket.api('uptime ms')).trim());
    if (!Number.isSafeInteger(uptime))
      throw new EngineError('error', 'FreeSWITCH does not say how long it has been running');
    return uptime;
  };

  return {
    name,
    async ping() {
      if (!(await socket.ready(CONNECT_MS))) throw notConnected();
      const target = { uri: `sip:${at}`, nextHop: `sip:${at};transport=${sip.transport}` };
      const [status] = await Promise.all([caller.options(target, OPTIONS_MS), uptimeMs()]);
      // Calls in progress stay when it is full, or drains; any other answer shows that it is there.
      full = status === 503;
      if (status === 408) throw new EngineError('down', `FreeSWITCH does not answer OPTIONS within ${OPTIONS_MS} ms`);
    },
    refusal: () => (full ? new EngineError('full', 'FreeSWITCH answers OPTIONS with 503') : undefined),
    onSessionLost: (listener) => lostListeners.add(listener),
    musicOffer: notItsOffice,
    musicConnect: notItsOffice,
    mixer,
    release: (session) => mixer.release(session),
    async sessions() {
      const inside = [...(await listed()).values()];
      mixer.endStrays(inside);
      return { ids: [...new Set(inside.map(({ session }) => session))], complete: true };
    },
    holds: (session) => (members.ready ? Promise.resolve(mixer.holds(session)) : Promise.reject(notConnected())),
    uptimeMs,
    close() {
      socket.close();
    },
  };
}

import { createSipCaller } from '../../../src/call-manager/sip-caller';
import { SimulatedClock } from '../../../src/process/clock';
import type {
  FinalResponse,
  OutgoingInvite,
  OutgoingRequest,
  Session,
  SessionSignal,
} from '../../../src/sip/user-agent';

const SDP = 'v=0\r\n';
const target = { uri: 'sip:conference-r@127.0.0.1:5060', nextHop: 'sip:127.0.0.1:5060;transport=udp' };
const header = (): undefined => undefined;

/** A session that writes down what it is told to do. */
class FakeSession implements Session {
  readonly id = 's1';
  readonly callId = 'c1';
  readonly dialog = undefined;
  readonly log: string[] = [];
  signal: (signal: SessionSignal) => void = () => undefined;

  listen(listener: (signal: SessionSignal) => void): void {
    this.signal = listener;
  }
  progress(): void {}
  answer(): void {}
  reject(): void {}
  cancel(): void {}
  acknowledge(sdp: string): void {
    this.log.push(`ACK ${sdp}`);
  }
  reinvite(id: string, { sdp }: { readonly sdp?: string }): void {
    this.log.push(`re-INVITE ${id} ${sdp ?? ''}`);
  }
  request(): void {}
  respond(id: string, status: number): void {
    this.log.push(`${status} to ${id}`);
  }
  bye(): void {
    this.log.push('BYE');
  }
}

describe('calls to media engines', () => {
  let clock: SimulatedClock;
  let session: FakeSession;
  let sent: OutgoingInvite[];
  let requests: OutgoingRequest[];

  const caller = (): ReturnType<typeof createSipCaller> =>
    createSipCaller({
      clock,
      userAgent: {
        invite: (invite) => {
          sent.push(invite);
          return session;
        },
        request: async (request): Promise<FinalResponse> => {
          requests.push(request);
          return { status: 503, reason: 'Maximum Calls In Progress', header, body: '' };
        },
      },
    });

  beforeEach(() => {
    clock = new SimulatedClock();
    session = new FakeSession();
    sent = [];
    requests = [];
  });

  async function answered(): Promise<Extract<Awaited<ReturnType<typeof placed>>, { ok: true }>> {
    const outcome = placed();
    session.signal({ type: 'answered', sdp: SDP, header });
    const result = await outcome;
    if (!result.ok) throw new Error('not answered');
    return result;
  }

  const placed = (): ReturnType<ReturnType<typeof createSipCaller>['call']> =>
    caller().call({ target, from: 'acme-1-100-1', offer: SDP, deadlineMs: 1500 });

  it('the INVITE goes where it is told, From is the session; the 200 is the outcome', async () => {
    const { sdp } = await answered();
    expect(sdp).toBe(SDP);
    expect(sent[0]).toMatchObject({ ...target, sdp: SDP, headers: { From: '<sip:acme-1-100-1@localhost>' } });
    expect(sent[0]?.headers).toMatchObject({ 'Session-Expires': '120', Supported: 'timer, replaces, norefersub' });
    expect(clock.pending).toBe(0);
  });

  it('a refusal is the outcome', async () => {
    const outcome = placed();
    session.signal({ type: 'provisional', status: 183, reason: '', sdp: SDP, header });
    session.signal({ type: 'rejected', status: 486, reason: 'Busy Here', header });
    expect(await outcome).toEqual({ ok: false, status: 486, reason: 'Busy Here' });
  });

  it('no answer in time is 408, and the INVITE is taken back', async () => {
    const outcome = placed();
    clock.advance(1500);
    expect(await outcome).toMatchObject({ ok: false, status: 408 });
    expect(session.log).toEqual(['BYE']);
    session.signal({ type: 'answered', sdp: SDP, header });
    session.signal({ type: 'ended', by: 'peer', reason: undefined });
  });

  it('an answer without a description is none', async () => {
    const outcome = placed();
    session.signal({ type: 'answered', sdp: undefined, header });
    expect(await outcome).toMatchObject({ ok: false, status: 500 });
    expect(session.log).toEqual(['BYE']);
  });

  it('a re-INVITE has its own outcome: an answer, a refusal, or 408', async () => {
    const { call } = await answered();
    const first = call.offer(SDP, 1000);
    session.signal({ type: 'reinvite-answered', id: '1', sdp: SDP });
    expect(await first).toEqual({ ok: true, sdp: SDP });
    const second = call.offer(SDP, 1000);
    session.signal({ type: 'reinvite-rejected', id: '2', status: 491, reason: 'Request Pending' });
    expect(await second).toMatchObject({ status: 491 });
    const third = call.offer(SDP, 1000);
    clock.advance(1000);
    expect(await third).toMatchObject({ status: 408 });
    session.signal({ type: 'reinvite-answered', id: '3', sdp: SDP });
    expect(clock.pending).toBe(0);
  });

  it('the end by the engine is told once, also to who asks later; offers under way end with it', async () => {
    const { call } = await answered();
    const told: (string | undefined)[] = [];
    const offer = call.offer(SDP, 1000);
    session.signal({ type: 'ended', by: 'peer', reason: 'SYSTEM_SHUTDOWN' });
    call.onEnded((reason) => told.push(reason));
    expect(told).toEqual(['SYSTEM_SHUTDOWN']);
    expect(await offer).toMatchObject({ status: 481 });
    expect(await call.offer(SDP, 1000)).toMatchObject({ status: 481 });
  });

  it('our own end is no loss', async () => {
    const { call } = await answered();
    const told: (string | undefined)[] = [];
    call.onEnded((reason) => told.push(reason));
    call.end();
    expect(session.log).toEqual(['BYE']);
    expect(told).toEqual([]);
  });

  it('requests of the engine leave the session as it is', async () => {
    await answered();
    session.signal({ type: 'reinvited', id: 'a', sdp: SDP, header });
    const request = { type: 'requested', body: '', contentType: undefined, header } as const;
    session.signal({ ...request, id: 'b', method: 'INFO' });
    session.signal({ ...request, id: 'c', method: 'REFER' });
    expect(session.log).toEqual(['488 to a', '200 to b', '603 to c']);
  });

  it('OPTIONS: the status', async () => {
    expect(await caller().options(target, 700)).toBe(503);
    expect(requests[0]).toMatchObject({ method: 'OPTIONS', deadlineMs: 700, ...target });
  });
});

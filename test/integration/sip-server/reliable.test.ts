import { eventually } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { headerOf } from '../../support/sip-text';
import { ANSWER, connectApp, is, OFFER, startServer, udpPeer, type AppResponse } from './harness';

let scope: Scope;
beforeEach(() => (scope = new Scope()));
afterEach(() => scope.close());

describe('RFC 3262 §4: reliable responses of a peer', () => {
  /** RSeq of the responses in order, each with its description, and those that are acknowledged and told. */
  test.each<[string, readonly string[], readonly string[]]>([
    ['in order', ['7', '8', '9'], ['7', '8', '9']],
    ['repeated', ['7', '7', '8', '7', '8'], ['7', '8']],
    ['with a gap', ['7', '9', '12'], ['7']],
    ['with a gap that is filled', ['7', '9', '8', '9'], ['7', '8', '9']],
    ['backwards', ['7', '6', '1'], ['7']],
    ['at the end of the numbers', ['4294967295', '1', '0'], ['4294967295']],
    ['that are none', ['-1', 'abc', '7'], ['7']],
  ])('come %s', async (_what, sent, taken) => {
    const running = await startServer(scope);
    const app = await connectApp(scope, running);
    const peer = await udpPeer(scope, running);
    const told: string[] = [];
    const cbProvisional = (response: AppResponse): void => void told.push(response.get('RSeq'));
    const placed = app.createUAC(`sip:bob@127.0.0.1:${peer.port}`, { localSdp: OFFER }, { cbProvisional });
    const invite = await peer.message('INVITE', is.request('INVITE'));
    for (const rseq of sent)
      peer.answer(invite, '183 Session Progress', { headers: ['Require: 100rel', `RSeq: ${rseq}`], body: ANSWER });
    const acknowledged = (): string[] => {
      const pracks = peer.requests('PRACK').map((prack) => headerOf(prack, 'RAck')?.split(' ')[0] ?? '');
      return [...new Set(pracks)];
    };
    await eventually('the PRACKs', acknowledged, (all) => all.length >= taken.length);
    peer.answer(invite, '200 OK', { body: ANSWER });
    await placed;
    expect(acknowledged().filter((rseq) => /^\d+$/.test(rseq) && rseq !== '0')).toEqual(taken);
    expect(told.filter((rseq) => /^\d+$/.test(rseq) && rseq !== '0')).toEqual(taken);
  });
});

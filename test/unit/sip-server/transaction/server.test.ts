import { getHeader, getHeaders } from '../../../../src/sip-message/headers';
import { createResponse } from '../../../../src/sip-message/response';
import { serialize } from '../../../../src/sip-message/serialize';
import { bench, CLIENT, expectClean, makeRequest, SERVER } from './bench';

describe('INVITE server transaction', () => {
  test('RFC 3261 §17.2.1: 100 at once, without To tag; retransmissions get the last provisional response', async () => {
    const b = await bench();
    const { request } = b.call('INVITE', 'udp', [{ name: 'Timestamp', value: '54' }]);
    b.clock.advance(1);
    const trying = b.network.sent[1]?.message;
    expect(trying).toMatchObject({ status: 100 });
    expect(trying && getHeader(trying, 'To')).toBe('<sip:2000@example.com>');
    expect(trying && getHeader(trying, 'Timestamp')).toBe('54');
    b.respond(180);
    b.network.carry(b.clientSide, serialize(request), { protocol: 'udp', address: SERVER, port: 5060 });
    b.clock.advance(2);
    expect(b.network.names(SERVER)).toEqual(['100', '180', '180']);
    expect(b.requests).toHaveLength(1);
  });

  test('RFC 3261 §17.2.1: Timer G retransmits a non-2xx up to every T2, Timer H ends it without ACK', async () => {
    const b = await bench();
    b.call('INVITE');
    b.clock.advance(10);
    b.loseAll();
    b.respond(404);
    b.clock.advance(31_999);
    const times = [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    expect(b.network.log(SERVER).slice(1)).toEqual(times.map((at) => `${at + 10} 404`));
    expect(b.over).toEqual([]);
    b.clock.advance(1);
    expect(b.over).toEqual([false]);
    expect(b.server.open.server).toBe(0);
  });

  test('RFC 3261 §17.2.1: the ACK stops Timer G and is not passed up; Timer I absorbs its repetitions', async () => {
    const b = await bench();
    b.call('INVITE');
    b.clock.advance(10);
    b.respond(404);
    b.clock.advance(10);
    expect(b.over).toEqual([true]);
    expect(b.server.open.server).toBe(1);
    b.clock.advance(5_000);
    expect(b.server.open.server).toBe(0);
    expect(b.network.names(SERVER)).toEqual(['100', '404']);
    expect(b.requests).toHaveLength(1);
    expect(b.over).toEqual([true]);
  });

  test('RFC 6026 §7.1: after a 2xx the INVITE is absorbed, the user repeats the 2xx, Timer L ends it', async () => {
    const b = await bench();
    const { request } = b.call('INVITE');
    b.clock.advance(10);
    expect(b.respond(200)).toBe(true);
    b.network.carry(b.clientSide, serialize(request), { protocol: 'udp', address: SERVER, port: 5060 });
    b.clock.advance(10);
    expect(b.network.names(SERVER)).toEqual(['100', '200']);
    b.transaction.resend();
    expect(b.network.names(SERVER)).toEqual(['100', '200', '200']);
    expect(b.respond(486)).toBe(false);
    b.clock.advance(31_979);
    expect(b.over).toEqual([]);
    b.clock.advance(11);
    expect(b.over).toEqual([true]);
    expect(b.respond(200)).toBe(false);
  });

  test('RFC 3261 §17: the ACK for a 2xx is passed up, also with the branch of the INVITE; without a dialog too', async () => {
    const b = await bench();
    const invite = b.call('INVITE');
    b.clock.advance(10);
    b.respond(200);
    b.clock.advance(10);
    const to = { protocol: 'udp', address: SERVER, port: 5060 } as const;
    const ack = makeRequest('ACK');
    b.client.sendAck(ack, to, true);
    b.client.sendAck(ack, to, false);
    b.client.sendAck({ ...makeRequest('ACK', invite.request.headers.slice(0, 1)) }, to, false);
    b.clock.advance(10);
    const acks = b.requests.slice(1);
    expect(acks.map(({ request, transaction }) => [request.method, transaction])).toEqual([
      ['ACK', undefined],
      ['ACK', undefined],
      ['ACK', undefined],
    ]);
    const [first, second] = acks.map(({ request }) => getHeaders(request, 'Via'));
    expect(first).toHaveLength(1);
    expect(second).toEqual(first);
    expect(b.network.names(SERVER)).toEqual(['100', '200']);
  });

  test('respond reports flow and size; a response that cannot be sent reports the failure', async () => {
    const b = await bench();
    b.call('INVITE');
    b.clock.advance(10);
    const results: unknown[] = [];
    const { transaction } = b;
    const ringing = createResponse(transaction.request, 180, { toTag: 'to1' });
    transaction.respond(ringing, (result) => results.push(result));
    expect(results).toEqual([{ flow: transaction.flow, bytes: serialize(ringing).length }]);
    b.network.broken.set(CLIENT, 'closed');
    transaction.respond(createResponse(transaction.request, 486), (result) => results.push(result));
    expect(results[1]).toEqual({ failure: 'closed' });
    expect(b.over).toEqual([false]);
  });
});

describe('non-INVITE server transaction', () => {
  test('RFC 3261 §17.2.2: nothing is sent before the user answers; Timer J repeats the final response for 32 s', async () => {
    const b = await bench();
    const { request } = b.call('OPTIONS');
    b.clock.advance(100);
    expect(b.network.names(SERVER)).toEqual([]);
    b.respond(200);
    const to = { protocol: 'udp', address: SERVER, port: 5060 } as const;
    b.network.carry(b.clientSide, serialize(request), to);
    b.clock.advance(31_999);
    expect(b.network.names(SERVER)).toEqual(['200', '200']);
    expect(b.over).toEqual([]);
    b.clock.advance(1);
    expect(b.over).toEqual([true]);
    expectClean(b);
  });

  test('RFC 3261 table 4: Timer J is zero over a reliable transport', async () => {
    const b = await bench();
    b.call('OPTIONS', 'tcp');
    b.clock.advance(10);
    b.respond(200);
    b.clock.advance(1);
    expect(b.over).toEqual([true]);
    expectClean(b);
  });

  test('RFC 4320 §4.2: a request that the user never answers is forgotten when its client has given up', async () => {
    const b = await bench();
    b.call('OPTIONS');
    b.clock.advance(33_000);
    expect(b.over).toEqual([false]);
    expect(b.respond(408)).toBe(false);
    expectClean(b);
  });
});

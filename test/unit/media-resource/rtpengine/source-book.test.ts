import {
  isSourceName,
  MOST_SEATS,
  OWN_PLAYERS,
  type Place,
  SHUT_MS,
  SourceBook,
} from '../../../../src/media-resource/rtpengine/source-book';

const own: Place = { type: 'own' };
const alaw = '8 PCMA/8000/1 /music.wav';
const wide = '9 G722/8000/1 /music.wav';
let book: SourceBook;

function party(number: number): string {
  return `acme-1-500-${number}`;
}

/** Parties with players of their own, so that the next one shares. */
function fill(music = alaw, first = 1): void {
  for (let number = first; number < first + OWN_PLAYERS; number++)
    expect(book.place(party(number), music, 0)).toEqual(own);
}

function seat(source: string, at: number, found = false): Place {
  return { type: 'seat', source, seat: at, found };
}

const first = `${party(4)}-music1`;

beforeEach(() => {
  book = new SourceBook(true);
});

test('the first parties of a music have players of their own, the next one founds a source, and others join it', () => {
  fill();
  expect(book.place(party(4), alaw, 0)).toEqual(seat(first, 1, true));
  expect(book.place(party(5), alaw, 0)).toEqual(seat(first, 2));
  expect(book.seatOf(party(5))).toEqual({ source: first, seat: 2, music: alaw });
  expect([book.isAlone(party(3)), book.isAlone(party(5)), book.seatOf(party(3))]).toEqual([true, false, undefined]);
  expect(book.names()).toEqual([first]);
});

test('another codec, payload type or file is another music', () => {
  fill();
  book.place(party(4), alaw, 0);
  expect(book.place(party(5), wide, 0)).toEqual(own);
  expect(book.place(party(6), '8 PCMA/8000/1 /other.wav', 0)).toEqual(own);
  expect(book.place(party(7), '108 PCMA/8000/1 /music.wav', 0)).toEqual(own);
});

test('a music that cannot be shared, and sharing that is switched off: everybody has a player of his own', () => {
  for (let number = 1; number < 10; number++) expect(book.place(party(number), undefined, 0)).toEqual(own);
  book = new SourceBook(false);
  for (let number = 1; number < 10; number++) expect(book.place(party(number), alaw, 0)).toEqual(own);
});

test('who has a player of his own keeps it, with every music', () => {
  fill();
  book.place(party(4), alaw, 0);
  expect(book.place(party(1), alaw, 0)).toEqual(own);
  expect(book.place(party(1), wide, 0)).toEqual(own);
});

test('parties with players of their own that have gone, or have another music, do not count', () => {
  fill();
  expect(book.leave(party(1))).toBeUndefined();
  book.place(party(2), wide, 0);
  expect(book.place(party(4), alaw, 0)).toEqual(own);
  expect(book.place(party(5), alaw, 0)).toEqual(own);
  expect(book.place(party(6), alaw, 0)).toMatchObject({ type: 'seat', found: true });
});

test('a source lives as long as somebody sits there, also when those with players of their own have gone', () => {
  fill();
  book.place(party(4), alaw, 0);
  book.place(party(5), alaw, 0);
  for (let number = 1; number <= OWN_PLAYERS; number++) book.leave(party(number));
  expect(book.leave(party(4))).toEqual({ source: first, seat: 1, last: false });
  expect(book.place(party(6), alaw, 0)).toEqual(seat(first, 3));
  expect(book.leave(party(6))).toEqual({ source: first, seat: 3, last: false });
  expect(book.leave(party(5))).toEqual({ source: first, seat: 2, last: true });
  expect([book.names(), book.leave(party(5)), book.seatOf(party(5))]).toEqual([[], undefined, undefined]);
});

test('a seat is given to somebody else only when rtpengine has nothing there any more', () => {
  fill();
  for (const number of [4, 5]) book.place(party(number), alaw, 0);
  book.leave(party(4));
  expect([...book.seats(first)]).toEqual([
    [1, undefined],
    [2, party(5)],
  ]);
  expect(book.place(party(6), alaw, 0)).toEqual(seat(first, 3));
  book.cleared(first, 1);
  book.cleared(first, 2);
  expect(book.place(party(7), alaw, 0)).toEqual(seat(first, 1));
  expect(book.seatOf(party(5))).toMatchObject({ seat: 2 });
});

test('a source is named after who founds it, and never like one before', () => {
  fill();
  book.place(party(4), alaw, 0);
  book.leave(party(4));
  expect(book.place(party(4), alaw, 0)).toEqual(seat(`${party(4)}-music2`, 1, true));
  expect([isSourceName(first), isSourceName(party(4)), isSourceName('acme-music1')]).toEqual([true, false, false]);
});

test('a full source is followed by another one', () => {
  fill();
  for (let number = 0; number < MOST_SEATS; number++) book.place(party(100 + number), alaw, 0);
  expect(book.names()).toHaveLength(1);
  expect(book.place(party(4), alaw, 0)).toEqual(seat(`${party(4)}-music2`, 1, true));
  expect(book.place(party(5), alaw, 0)).toEqual(seat(`${party(4)}-music2`, 2));
});

test('when a source fails its parties have no seat, and are placed anew: after a long time at another source', () => {
  fill();
  for (const number of [4, 5]) book.place(party(number), alaw, 0);
  book.place(party(6), alaw, 0);
  book.leave(party(6));
  expect(book.fail(first, SHUT_MS)).toEqual([party(4), party(5)]);
  expect([book.fail(first, SHUT_MS), book.names(), book.seatOf(party(4))]).toEqual([[], [], undefined]);
  expect(book.place(party(5), alaw, SHUT_MS)).toEqual(seat(`${party(5)}-music2`, 1, true));
  expect(book.place(party(4), alaw, SHUT_MS)).toEqual(seat(`${party(5)}-music2`, 2));
});

test('a source that fails soon is not replaced for a while, and others are not concerned', () => {
  fill();
  fill(wide, 11);
  book.place(party(4), alaw, 0);
  book.fail(first, SHUT_MS - 1);
  expect(book.place(party(4), alaw, SHUT_MS)).toEqual(own);
  expect(book.place(party(14), wide, SHUT_MS)).toMatchObject({ type: 'seat', found: true });
  expect(book.place(party(5), alaw, 2 * SHUT_MS - 2)).toEqual(own);
  expect(book.place(party(6), alaw, 2 * SHUT_MS - 1)).toMatchObject({ type: 'seat', found: true });
});

test('what is said of a source that is not there changes nothing', () => {
  book.cleared('acme-1-500-9-music9', 1);
  expect([book.fail('acme-1-500-9-music9', 0), [...book.seats('acme-1-500-9-music9')]]).toEqual([[], []]);
});

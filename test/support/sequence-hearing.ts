import type { Heard } from './media-stream';
import type { End, Member } from './sequence-world';

/** What one of two parties hears of the other: `right`, or what is heard instead of what. `disturbed`: servers died meanwhile. */
export function verdict(ear: End, mouth: End, disturbed: boolean): string {
  const heard = ear.call.heard(mouth.party.tone);
  const wanted = wantedOf(ear, mouth, disturbed);
  return wanted.includes(heard)
    ? 'right'
    : `hears ${heard}, not ${wanted.join(' or ')}; it holds: ${ear.call.hold}, the other: ${mouth.call.hold}`;
}

function wantedOf(ear: End, mouth: End, disturbed: boolean): readonly Heard[] {
  if (ear.call.hold !== 'none') return ['nothing'];
  // A hold during which servers died may be silent.
  if (mouth.call.hold !== 'none') return disturbed ? ['music', 'nothing'] : ['music'];
  // G.722 is not decoded here, and what it is made into is noise.
  return [ear, mouth].some(({ call }) => call.codecs.includes('G722')) ? ['tone', 'speech'] : ['tone'];
}

/** The same of a member of a conference. `kills`: how often nodes were killed until now, `killsBefore`: when the sequence began. */
export function verdictOfMember(
  member: Member,
  members: readonly Member[],
  kills: number,
  killsBefore: number,
): string {
  const [{ party, call }] = member.ends;
  if (!call.up || kills > member.nodeKills) return 'right';
  // Who lost its node may still take itself for a member.
  const others = members.filter(({ nodeKills, ends: [end] }) => nodeKills === kills && end.party !== party);
  const speak = others.filter(({ muted, ends: [end] }) => muted !== true && end.call.up && end.call.hold === 'none');
  const speakers = speak.filter(({ muted }) => muted === false);
  // G.722 is not decoded here, and of lost nodes somebody may still be heard.
  const silent = speak.length === 0 && !call.codecs.includes('G722') && kills === killsBefore;
  const wanted: readonly Heard[] =
    call.hold !== 'none' || (silent && others.length > 0)
      ? ['nothing', 'silence']
      : speakers.length === 0
        ? ['nothing', 'silence', 'speech']
        : ['speech'];
  // Asked about its own tone: that alone would be an echo.
  const heard = call.heard(party.tone);
  if (wanted.includes(heard)) return 'right';
  return `${party.dn} hears ${heard}, not ${wanted.join(' or ')}; it holds: ${call.hold}, ${speakers.length} others speak`;
}

import { audioTransport } from '../../sdp';
import type { Commands } from './commands';
import { descriptionIn } from './relay';
import { forRtpengine, type Parameters, sourceFlags, transportParameters } from './relay-terms';

/** Tags of the two sides of a music session: the player on paper, and who hears it. */
export const PLAYER = 'moh';
export const DEVICE = 'phone';

/** rtpengine 10.5 has no "for ever"; with a piece of 4 s this is six weeks. */
const REPEATS = 1_000_000;

/** How the device is spoken to in the name of the player that `sdp` describes: as it spoke itself. */
export function transportFor(sdp: string, peer: string | undefined): Parameters {
  const transport = peer === undefined ? undefined : audioTransport(peer);
  const { security = 'none', feedback = false, family = 4 } = transport ?? {};
  return transportParameters(sdp, security, feedback, family);
}

/** The offer that rtpengine makes of the description of a player. */
export async function offerPlayer(
  commands: Commands,
  session: string,
  sdp: string,
  peer: string | undefined,
): Promise<string> {
  const reply = await commands.run('offer', {
    'call-id': session,
    'from-tag': PLAYER,
    sdp,
    replace: ['origin'],
    supports: ['load limit'],
    ...transportFor(sdp, peer),
  });
  return descriptionIn(reply);
}

/** Takes the answer to that. Resolves with a description that tells where rtpengine takes RTP in the player's stead. */
export async function answerPlayer(commands: Commands, session: string, sdp: string): Promise<string> {
  const reply = await commands.run('answer', {
    'call-id': session,
    'from-tag': PLAYER,
    'to-tag': DEVICE,
    sdp: forRtpengine(sdp),
    replace: ['origin'],
    flags: ['port-latching', ...sourceFlags(sdp)],
  });
  return descriptionIn(reply);
}

/** Given anew after every answer: a player that runs goes on with the payload type of the answer before. */
export async function play(commands: Commands, session: string, file: string): Promise<void> {
  await commands.run('playMedia', { 'call-id': session, 'from-tag': DEVICE, file, 'repeat-times': REPEATS });
}

/** What comes from both sides goes nowhere: what the device sends would go to the address of the player on paper. A player of the session is heard. */
export async function blockAll(commands: Commands, session: string): Promise<void> {
  await commands.run('blockMedia', { 'call-id': session });
}

/** What the device sends goes nowhere; what comes in for the player goes to the device. */
export async function blockDevice(commands: Commands, session: string): Promise<void> {
  await commands.run('blockMedia', { 'call-id': session, 'from-tag': DEVICE });
}

export async function endSession(commands: Commands, session: string): Promise<void> {
  await commands.run('delete', { 'call-id': session, 'delete-delay': 0 });
}

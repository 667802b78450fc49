/* global window, document, navigator, AudioContext, MediaStream */
import { Inviter, Registerer, RegistererState, SessionState, UserAgent } from '/sip.js/index.js';

/** A telephone of sip.js, as a page that a browser runs: a tone for a microphone, and an ear that can be asked. */

const MEDIA = { constraints: { audio: true, video: false } };

/** Samples that are looked at in one go: a third of a second at 48 kHz. */
const EAR_SIZE = 16384;

let agent;
let registerer;
/** The calls that are not over; the last one is the current one. */
const sessions = [];
let session;
let ear;
const events = [];
const messages = [];

/** A tone instead of a microphone: no device is needed, and no filter takes it for noise. */
function speak(hz) {
  const context = new AudioContext({ sampleRate: 48000 });
  const tone = context.createOscillator();
  const volume = context.createGain();
  const microphone = context.createMediaStreamDestination();
  tone.frequency.value = hz;
  volume.gain.value = 0.4;
  tone.connect(volume).connect(microphone);
  tone.start();
  navigator.mediaDevices.getUserMedia = async () => microphone.stream.clone();
}

/** Listens to what the page plays: all that a user would hear. */
async function listen() {
  const stream = await navigator.mediaDevices.getDisplayMedia({
    preferCurrentTab: true,
    video: true,
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const context = new AudioContext({ sampleRate: 48000 });
  const analyser = context.createAnalyser();
  analyser.fftSize = EAR_SIZE;
  context.createMediaStreamSource(stream).connect(analyser);
  ear = { context, analyser };
}

function take(newSession) {
  session = newSession;
  sessions.push(newSession);
  session.delegate = {
    onSessionDescriptionHandler(handler) {
      handler.peerConnection.addEventListener('track', ({ track }) => {
        document.getElementById('ear').srcObject = new MediaStream([track]);
      });
    },
  };
  newSession.stateChange.addListener((state) => {
    events.push(state);
    if (state !== SessionState.Terminated) return;
    sessions.splice(sessions.indexOf(newSession), 1);
    session = sessions.at(-1) ?? newSession;
  });
}

/** Resolves when the REFER has been accepted; each NOTIFY is an event. */
function refer(referred, target) {
  return new Promise((resolve, reject) => {
    const requestDelegate = {
      onAccept: () => resolve(),
      onReject: ({ message }) => reject(new Error(`refused: ${message.statusCode}`)),
    };
    const onNotify = (notification) => {
      events.push(`Notified ${notification.request.body.trim()}`);
      void notification.accept();
    };
    referred.refer(target, { onNotify, requestDelegate }).catch(reject);
  });
}

/** Resolves when the re-INVITE has been accepted. */
function reinvite(hold) {
  return new Promise((resolve, reject) => {
    session.sessionDescriptionHandlerOptionsReInvite = { ...MEDIA, hold };
    const requestDelegate = {
      onAccept: () => resolve(),
      onReject: ({ message }) => reject(new Error(`refused: ${message.statusCode}`)),
    };
    session.invite({ requestDelegate }).catch(reject);
  });
}

window.telephone = {
  /** Registers; resolves when the server has accepted it. */
  async register({ server, username, password, domain, tone }) {
    await listen();
    speak(tone);
    agent = new UserAgent({
      uri: UserAgent.makeURI(`sip:${username}@${domain}`),
      authorizationUsername: username,
      authorizationPassword: password,
      transportOptions: { server },
      logBuiltinEnabled: false,
      logLevel: 'debug',
      logConnector: (level, category, label, content) => {
        if (/(Sending|Received) WebSocket/.test(content)) messages.push(content);
        else if (level === 'error' || level === 'warn') messages.push(`${level}: ${category}: ${content}`);
      },
      sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: 1500 },
      delegate: {
        onInvite(invitation) {
          take(invitation);
          events.push('Incoming');
        },
      },
    });
    await agent.start();
    registerer = new Registerer(agent, { expires: 120 });
    const registered = new Promise((resolve, reject) => {
      registerer.stateChange.addListener((state) => {
        if (state === RegistererState.Registered) resolve();
        else reject(new Error(`the server did not register ${username}`));
      });
    });
    await registerer.register();
    await registered;
  },
  async dial(target) {
    const inviter = new Inviter(agent, UserAgent.makeURI(target), { sessionDescriptionHandlerOptions: MEDIA });
    take(inviter);
    const onProgress = ({ message }) => {
      if (message.statusCode === 180) events.push('Ringing');
    };
    await inviter.invite({ requestDelegate: { onProgress } });
  },
  accept: () => session.accept({ sessionDescriptionHandlerOptions: MEDIA }).then(() => undefined),
  hold: () => reinvite(true),
  resume: () => reinvite(false),
  transfer: (target) => refer(session, UserAgent.makeURI(target)),
  /** The other end of its first call gets that of its last one. */
  connect: () => refer(sessions[0], sessions.at(-1)),
  /** Ends, rejects or cancels; without a call nothing. */
  async hangup() {
    if (session?.state === SessionState.Established) await session.bye();
    else if (session instanceof Inviter && session.state === SessionState.Establishing) await session.cancel();
    else if (session?.state === SessionState.Initial) await session.reject();
  },
  /** What happened to calls, in order: sip.js's states, `Incoming`, and `Ringing` at the other end. */
  events: () => events,
  /** The SIP messages of the WebSocket, and what sip.js complains about. */
  messages: () => messages,
  /** The samples that were heard last. */
  heard() {
    if (ear === undefined) return { rate: 48000, samples: [] };
    const samples = new Float32Array(EAR_SIZE);
    ear.analyser.getFloatTimeDomainData(samples);
    return { rate: ear.context.sampleRate, samples: Array.from(samples) };
  },
  /** How the media of the call travel. */
  async media() {
    const connection = session?.sessionDescriptionHandler?.peerConnection;
    if (connection === undefined) return {};
    const reports = [...(await connection.getStats()).values()];
    const transport = reports.find(({ type }) => type === 'transport');
    const inbound = reports.find(({ type }) => type === 'inbound-rtp');
    return {
      ice: connection.iceConnectionState,
      dtls: transport?.dtlsState,
      dtlsRole: transport?.dtlsRole,
      cipher: transport?.srtpCipher,
      codec: reports.find(({ id }) => id === inbound?.codecId)?.mimeType,
    };
  },
  async leave() {
    await registerer?.unregister();
    await agent?.stop();
  },
};

import type { CancelTimer, Clock } from '../../process/clock';
import type { CancelTimerEffect, SetTimer } from './timers';

type TimerEffect<Name extends string> = SetTimer<Name> | CancelTimerEffect<Name>;

interface TimerEvent<Name extends string> {
  readonly type: 'timer';
  readonly timer: Name;
}

function isTimerEffect<Name extends string>(
  effect: TimerEffect<Name> | { readonly type: string },
): effect is TimerEffect<Name> {
  return effect.type === 'set-timer' || effect.type === 'cancel-timer';
}

/** A running machine, seen from its shell. */
export interface Machine<Event, Payload> {
  readonly stateName: string;
  /** Feeds an event; `payload` is what its actions are about (the response received, the failure). */
  dispatch(event: Event, payload?: Payload): void;
  /** Runs a callback of the user: at once, or as soon as the step under way is complete. */
  notify(callback: () => void): void;
  /** Cancels every timer and ignores everything from now on. */
  stop(): void;
}

/**
 * Runs one pure machine: owns its timers, hands its actions to the shell. Events that come while a step is being carried
 * out wait for its end, and the user is called only between steps; so neither a transport that answers at once nor a
 * user that acts from within a callback ever sees a half-made step.
 */
export class MachineRunner<
  Name extends string,
  State extends { readonly name: string },
  Event,
  Action extends { readonly type: string },
  Payload,
> implements Machine<Event, Payload> {
  /** Two or three at most: a list is smaller than a map, and there are very many runners. */
  private timers: { readonly timer: Name; readonly cancel: CancelTimer }[] = [];
  private readonly queue: { readonly event: Event | TimerEvent<Name>; readonly payload: Payload | undefined }[] = [];
  private callbacks: (() => void)[] = [];
  private running = false;
  private stopped = false;

  constructor(
    private readonly clock: Clock,
    private state: State,
    private readonly step: (
      state: State,
      event: Event | TimerEvent<Name>,
    ) => { readonly state: State; readonly effects: readonly (Action | TimerEffect<Name>)[] },
    private readonly act: (action: Action, payload: Payload | undefined) => void,
    /** An error that a callback of the user threw: it must end neither the process nor the other callbacks. */
    private readonly userError: (error: unknown) => void,
  ) {}

  get stateName(): string {
    return this.state.name;
  }

  dispatch(event: Event | TimerEvent<Name>, payload?: Payload): void {
    if (this.stopped) return;
    this.queue.push({ event, payload });
    if (this.running) return;
    this.running = true;
    try {
      for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
        this.run(next.event, next.payload);
      }
    } finally {
      this.running = false;
    }
    const callbacks = this.callbacks;
    this.callbacks = [];
    for (const callback of callbacks) this.call(callback);
  }

  notify(callback: () => void): void {
    if (this.running) this.callbacks.push(callback);
    else this.call(callback);
  }

  private call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.userError(error);
    }
  }

  stop(): void {
    this.stopped = true;
    for (const { cancel } of this.timers) cancel();
    this.timers = [];
  }

  private run(event: Event | TimerEvent<Name>, payload: Payload | undefined): void {
    const { state, effects } = this.step(this.state, event);
    this.state = state;
    for (const effect of effects) {
      if (!isTimerEffect<Name>(effect)) this.act(effect, payload);
      else if (effect.type === 'set-timer') this.setTimer(effect.timer, effect.ms);
      else this.cancelTimer(effect.timer);
    }
  }

  private setTimer(timer: Name, ms: number): void {
    if (this.stopped) return;
    this.cancelTimer(timer);
    const fire = (): void => {
      this.timers = this.timers.filter((set) => set.timer !== timer);
      this.dispatch({ type: 'timer', timer });
    };
    this.timers.push({ timer, cancel: this.clock.setTimer(ms, fire) });
  }

  private cancelTimer(timer: Name): void {
    const found = this.timers.find((set) => set.timer === timer);
    if (found === undefined) return;
    found.cancel();
    this.timers = this.timers.filter((set) => set !== found);
  }
}

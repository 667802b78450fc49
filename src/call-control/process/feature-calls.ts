import { type FeatureCall, type FeatureCodes, readFeature } from '../../config/feature-codes';
import type { IncomingCall } from '../../device/device-process';

export type FeatureHandlers = {
  readonly [Name in FeatureCall['feature']]: (
    call: IncomingCall,
    number: Extract<FeatureCall, { readonly feature: Name }>['number'],
  ) => void;
};

/** Calls that are none: who dials a feature code wants something done. */
export class FeatureCalls {
  constructor(
    private readonly codes: FeatureCodes | undefined,
    private readonly handlers: FeatureHandlers,
    /** Who dials its number retrieves what is parked there. */
    private readonly isSlot: (number: string) => boolean,
  ) {}

  /** What the call asks for; undefined: it is a call. Only phones of ours have codes: who calls from outside, or through another node, has dialled a number. */
  asked({ from, dialled, replaces }: IncomingCall): FeatureCall | undefined {
    if (from.kind !== 'station' || replaces !== undefined) return undefined;
    if (this.isSlot(dialled)) return { feature: 'retrieve', number: dialled };
    return this.codes && readFeature(this.codes, dialled);
  }

  perform(call: IncomingCall, { feature, number }: FeatureCall): void {
    (this.handlers[feature] as (call: IncomingCall, number: string | undefined) => void)(call, number);
  }
}

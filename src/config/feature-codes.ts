/** What follows a code: nothing, a number, or either. */
type Follows = 'nothing' | 'number' | 'perhaps-a-number';

/** What can be done by dialling, the code that does it unless the configuration says another, and what is dialled behind it. */
export const FEATURES = {
  /** Answers for the phone with that number. */
  pickup: { code: '**', follows: 'number' },
  /** Answers for a phone of the pickup group. */
  groupPickup: { code: '*8', follows: 'nothing' },
  /** Parks a call: in that slot, or in a free one. */
  park: { code: '*68', follows: 'perhaps-a-number' },
  /** Takes up what is parked in that slot; so does its number alone. */
  retrieve: { code: '*88', follows: 'number' },
  /** Brings the two calls of the phone together in a conference. */
  conference: { code: '*30', follows: 'nothing' },
  /** Goes on with a held call of another phone of the line: the newest one, or that of that number. */
  resume: { code: '*31', follows: 'perhaps-a-number' },
  /** Joins the call of that number. */
  barge: { code: '*33', follows: 'number' },
} as const satisfies Readonly<Record<string, { readonly code: string; readonly follows: Follows }>>;

export type FeatureName = keyof typeof FEATURES;

/** By feature; undefined: it is turned off. */
export type FeatureCodes = Readonly<Record<FeatureName, string | undefined>>;

type NumberBehind = {
  readonly nothing: undefined;
  readonly number: string;
  readonly 'perhaps-a-number': string | undefined;
};

/** A feature that was asked for by dialling. */
export type FeatureCall = {
  readonly [Name in FeatureName]: {
    readonly feature: Name;
    readonly number: NumberBehind[(typeof FEATURES)[Name]['follows']];
  };
}[FeatureName];

export const FEATURE_NAMES = Object.keys(FEATURES) as readonly FeatureName[];

const NUMBER = /^\+?[0-9*#]{1,31}$/;

/** What dialled digits ask for; undefined: they begin with no code, or with one that nothing may follow. No digits ask for two features: `check` sees to it. */
export function readFeature(codes: FeatureCodes, dialled: string): FeatureCall | undefined {
  for (const feature of FEATURE_NAMES) {
    const code = codes[feature];
    if (code === undefined || !dialled.startsWith(code)) continue;
    const behind = dialled.slice(code.length);
    const { follows } = FEATURES[feature];
    if (behind === '' ? follows === 'number' : follows === 'nothing' || !NUMBER.test(behind)) continue;
    return { feature, number: behind === '' ? undefined : behind } as FeatureCall;
  }
  return undefined;
}

/** The codes of a configuration that names some of them. */
export function featureCodesOf(
  named: Readonly<Partial<Record<FeatureName, string | false | undefined>>>,
): FeatureCodes {
  const code = (feature: FeatureName): string | undefined => {
    const given = named[feature];
    return given === undefined ? FEATURES[feature].code : given === false ? undefined : given;
  };
  return Object.fromEntries(FEATURE_NAMES.map((feature) => [feature, code(feature)])) as FeatureCodes;
}

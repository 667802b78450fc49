import { z } from 'zod';
import type { FeatureName } from './feature-codes';

const featureCode = z
  .custom<string | false>(
    (value) => value === false || (typeof value === 'string' && /^[0-9*#]{1,8}$/.test(value)),
    'must be 1 to 8 of 0-9, "*" and "#", in quotes; or false',
  )
  .optional();

export const featureCodesSchema = z.strictObject({
  pickup: featureCode,
  groupPickup: featureCode,
  park: featureCode,
  retrieve: featureCode,
  conference: featureCode,
  resume: featureCode,
  barge: featureCode,
} satisfies Record<FeatureName, typeof featureCode>);

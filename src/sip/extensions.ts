import { optionTags } from './header-values';
import type { HeaderReader } from './user-agent';

/**
 * Extensions that are done for who requires them: RFC 4028, RFC 3891 and RFC 4488. Our 18x are not reliable: 100rel is not among them.
 */
export const EXTENSIONS: ReadonlySet<string> = new Set(['timer', 'replaces', 'norefersub']);

/** As the value of a header. A phone offers a transfer with consultation to who has `replaces` there. */
export const SUPPORTED = [...EXTENSIONS].join(', ');

/** What a request requires and is not there: it is refused with 420 and these in Unsupported (RFC 3261 section 8.2.2.3). */
export function unsupportedExtensions(header: HeaderReader): readonly string[] {
  return optionTags(header('Require')).filter((tag) => !EXTENSIONS.has(tag));
}
